'use strict'

// Every test here runs on node:net and on ours: what is expected is what Node does.

const { randomUUID } = require('node:crypto')
const { once } = require('node:events')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { Duplex } = require('node:stream')
const { finished, pipeline } = require('node:stream/promises')

const ours = require('../lib/net')
const theirs = require('node:net')

const socketPath = () => path.join(tmpdir(), `interproc-${randomUUID()}.sock`)

describe.each([['node:net', theirs], ['interproc/net', ours]])('%s', (_name, net) => {
  /** @type {any[]} */
  let open = []

  afterEach(() => {
    for (const one of open) one.destroy ? one.destroy() : one.close()
    open = []
  })

  function keep (one) {
    open.push(one)
    return one
  }

  /** A server and one connection to it. */
  async function pair (options = {}, where = [0, '127.0.0.1'], connectOptions = {}) {
    const server = keep(net.createServer(options))
    server.listen(...where)
    await once(server, 'listening')
    const address = server.address()
    const client = keep(net.connect(typeof address === 'string'
      ? { path: address, ...connectOptions }
      : { port: address.port, host: '127.0.0.1', ...connectOptions }))
    const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')])
    return { server, client, accepted: keep(accepted) }
  }

  test.each([['TCP', () => [0, '127.0.0.1']], ['a Unix path', () => [socketPath()]]])('an echo over %s', async (_kind, where) => {
    const { client, accepted } = await pair({}, where())
    accepted.pipe(accepted)
    const sent = Buffer.alloc(3_000_000, 'interproc ')
    const got = []
    client.on('data', chunk => got.push(chunk))
    client.end(sent)
    await once(client, 'close')
    expect(Buffer.concat(got).equals(sent)).toBe(true)
    expect(client.bytesWritten).toBe(sent.length)
    expect(client.bytesRead).toBe(sent.length)
  })

  test('sockets are Duplex streams and instances of their class', async () => {
    const { client, accepted, server } = await pair()
    for (const socket of [client, accepted]) {
      expect(socket).toBeInstanceOf(Duplex)
      expect(socket).toBeInstanceOf(net.Socket)
      expect(socket).toBeInstanceOf(net.Stream)
    }
    expect(server).toBeInstanceOf(net.Server)
    expect(net.Socket()).toBeInstanceOf(net.Socket)
    expect(new (class extends net.Socket {})()).toBeInstanceOf(net.Socket)
  })

  test('events of a connection come in order', async () => {
    const server = keep(net.createServer({ allowHalfOpen: true }))
    server.listen(0)
    await once(server, 'listening')
    const seen = []
    const note = (who, socket, names) => names.forEach(name => socket.on(name, () => seen.push(`${who} ${name}`)))
    server.on('connection', socket => {
      note('server', socket, ['end', 'finish', 'close'])
      socket.on('data', data => socket.write(data)).on('end', () => socket.end())
    })
    const client = keep(net.connect({ port: server.address().port, host: 'localhost', family: 4 }))
    note('client', client, ['lookup', 'connectionAttempt', 'connect', 'ready', 'data', 'end', 'finish', 'close'])
    client.once('data', () => client.end())
    client.write('hello')
    await once(client, 'close')
    const own = who => seen.filter(event => event.startsWith(who)).map(event => event.slice(who.length + 1))
    expect(own('client')).toEqual(['lookup', 'connectionAttempt', 'connect', 'ready', 'data', 'finish', 'end', 'close'])
  })

  test('addresses, families, states', async () => {
    const server = keep(net.createServer())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address()
    expect(server.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port })
    const client = keep(new net.Socket())
    expect([client.pending, client.connecting, client.readyState]).toEqual([true, false, 'open'])
    client.connect(port, '127.0.0.1')
    expect([client.pending, client.connecting, client.readyState]).toEqual([true, true, 'opening'])
    const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')])
    keep(accepted)
    expect([client.pending, client.connecting, client.readyState]).toEqual([false, false, 'open'])
    expect(client.remoteAddress).toBe('127.0.0.1')
    expect([client.remotePort, client.remoteFamily]).toEqual([port, 'IPv4'])
    expect(client.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port: client.localPort })
    expect(accepted.remotePort).toBe(client.localPort)
    client.end()
    expect(client.readyState).toBe('readOnly')
  })

  test('write says when to wait, and drain when to go on', async () => {
    const { client, accepted } = await pair()
    const chunk = Buffer.alloc(1 << 20, 1)
    let sent = 0
    while (client.write(chunk)) sent += chunk.length
    sent += chunk.length
    while (client.writableLength === 0) {
      client.write(chunk)
      sent += chunk.length
    }
    expect(client.writableNeedDrain).toBe(true)
    let got = 0
    accepted.on('data', data => { got += data.length })
    await once(client, 'drain')
    expect(client.writableLength).toBe(0)
    expect(client.bytesWritten).toBe(sent)
    client.end()
    await once(accepted, 'end')
    expect(got).toBe(sent)
  })

  test('many writes of one tick arrive whole and in order, strings and bytes, and their callbacks run in order', async () => {
    const { client, accepted } = await pair()
    const order = []
    let expected = ''
    for (let i = 0; i < 5000; i++) {
      const text = `${i}·${'x'.repeat(i % 300)};`
      expected += text
      if (i % 3 === 0) client.write(text)
      else if (i % 3 === 1) client.write(Buffer.from(text))
      else client.write(text, 'utf8', () => order.push(i))
    }
    client.end('the end')
    client.on('finish', () => order.push('finish'))
    let got = ''
    accepted.setEncoding('utf8').on('data', data => { got += data })
    await once(accepted, 'end')
    expect(got).toBe(`${expected}the end`)
    expect(order).toEqual([...Array.from({ length: 5000 }, (_, i) => i).filter(i => i % 3 === 2), 'finish'])
    expect(client.bytesWritten).toBe(Buffer.byteLength(`${expected}the end`))
  })

  test('writes of several sockets in one tick do not mix', async () => {
    const pairs = await Promise.all([pair(), pair(), pair()])
    for (let i = 0; i < 100; i++) pairs.forEach(({ client }, at) => client.write(`${at}`))
    for (const [at, { client, accepted }] of pairs.entries()) {
      client.end()
      let got = ''
      accepted.on('data', data => { got += data })
      await once(accepted, 'end')
      expect(got).toBe(String(at).repeat(100))
    }
  })

  test('what was written before destroy() has left', async () => {
    const { client, accepted } = await pair()
    let got = ''
    accepted.on('data', data => { got += data })
    for (let i = 0; i < 10; i++) client.write('0123456789')
    client.destroy()
    await once(accepted, 'close')
    expect(got.length).toBe(100)
  })

  test('corked writes leave when uncorked', async () => {
    const { client, accepted } = await pair()
    client.write('a')
    client.cork()
    client.write('b')
    client.write(Buffer.from('c'))
    expect(client.writableLength).toBe(2)
    client.uncork()
    client.end('d')
    let got = ''
    accepted.on('data', data => { got += data })
    await once(accepted, 'end')
    expect(got).toBe('abcd')
  })

  test('a paused socket stops the sender', async () => {
    const { client, accepted } = await pair({ pauseOnConnect: true })
    const chunk = Buffer.alloc(1 << 20)
    for (let i = 0; i < 20; i++) client.write(chunk)
    await new Promise(resolve => { setTimeout(resolve, 50) })
    expect(accepted.bytesRead).toBe(0)
    expect(client.writableLength).toBeGreaterThan(0)
    let got = 0
    accepted.on('data', data => { got += data.length }).resume()
    client.end()
    await once(accepted, 'end')
    expect(got).toBe(20 * chunk.length)
  })

  test('half-open: the server answers after the client has ended', async () => {
    const { client, accepted } = await pair({ allowHalfOpen: true })
    client.end('question')
    accepted.resume()
    await once(accepted, 'end')
    expect(accepted.writable).toBe(true)
    accepted.end('answer')
    let got = ''
    client.on('data', data => { got += data })
    await once(client, 'close')
    expect(got).toBe('answer')
  })

  test('a write after both ends have ended is EPIPE', async () => {
    const { client, accepted } = await pair()
    client.on('error', () => {})
    accepted.end()
    client.resume()
    await once(client, 'end')
    const error = await new Promise(resolve => { client.write('late', resolve) })
    expect(error.code).toMatch(/^(EPIPE|ERR_STREAM_DESTROYED|ERR_STREAM_WRITE_AFTER_END)$/)
  })

  test('a reset reaches the peer', async () => {
    const { client, accepted } = await pair()
    accepted.resume()
    client.resetAndDestroy()
    const [error] = await once(accepted, 'error')
    expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read', message: 'read ECONNRESET' })
    const closed = keep(new net.Socket())
    closed.resetAndDestroy()
    await expect(once(closed, 'connect')).rejects.toMatchObject({ code: 'ERR_SOCKET_CLOSED' })
  })

  test('refused, missing, and wrong addresses are clear errors', async () => {
    const server = keep(net.createServer()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address()
    await new Promise(resolve => { server.close(resolve) })
    await expect(once(keep(net.connect(port, '127.0.0.1')), 'connect')).rejects.toMatchObject({
      code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: '127.0.0.1', port,
      message: `connect ECONNREFUSED 127.0.0.1:${port}`
    })
    const nowhere = socketPath()
    await expect(once(keep(net.connect(nowhere)), 'connect')).rejects.toMatchObject({
      code: 'ENOENT', syscall: 'connect', address: nowhere, message: `connect ENOENT ${nowhere}`
    })
    for (const wrong of [-1, 65536, 'x', NaN]) {
      expect(() => net.connect({ port: wrong })).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT' }))
      expect(() => net.createServer().listen({ port: wrong })).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT' }))
    }
    expect(() => net.connect({ port: 1, localAddress: 'nonsense' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }))
    expect(() => net.connect({})).toThrow(expect.objectContaining({ code: 'ERR_MISSING_ARGS' }))
    expect(() => net.connect({ port: 1, lookup: 1 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })

  test('a name that is taken is EADDRINUSE, and stays its owner\'s', async () => {
    const file = socketPath()
    const first = keep(net.createServer()).listen(file)
    await once(first, 'listening')
    await expect(once(keep(net.createServer()).listen(file), 'listening')).rejects.toMatchObject({
      code: 'EADDRINUSE', syscall: 'listen', address: file, message: `listen EADDRINUSE: address already in use ${file}`
    })
    expect(first.address()).toBe(file)
    await new Promise(resolve => { first.close(resolve) })
    expect(fs.existsSync(file)).toBe(false)
    const tcp = keep(net.createServer()).listen(0)
    await once(tcp, 'listening')
    const { port } = tcp.address()
    await expect(once(keep(net.createServer()).listen(port), 'listening')).rejects.toMatchObject({
      code: 'EADDRINUSE', port, address: '::', message: `listen EADDRINUSE: address already in use :::${port}`
    })
  })

  test('a server counts, drops, and closes when the last connection has gone', async () => {
    const { server, client, accepted } = await pair()
    server.maxConnections = 1
    const dropped = once(server, 'drop')
    const second = keep(net.connect(server.address().port, '127.0.0.1'))
    second.on('error', () => {})
    expect((await dropped)[0]).toMatchObject({ remoteFamily: 'IPv4', localPort: server.address().port })
    expect(await new Promise(resolve => { server.getConnections((_error, count) => resolve(count)) })).toBe(1)
    const closed = once(server, 'close')
    server.close()
    expect(server.listening).toBe(false)
    accepted.resume()
    client.end()
    await closed
    expect(await new Promise(resolve => { server.close(resolve) })).toMatchObject({ code: 'ERR_SERVER_NOT_RUNNING' })
  })

  test('listening twice, timeouts and their checks', async () => {
    const { server, client } = await pair()
    expect(() => server.listen(0)).toThrow(expect.objectContaining({ code: 'ERR_SERVER_ALREADY_LISTEN' }))
    expect(() => client.setTimeout('1')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    expect(() => client.setTimeout(-1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
    client.setTimeout(20)
    await once(client, 'timeout')
    expect(client.timeout).toBe(20)
    expect(client.destroyed).toBe(false)
  })

  test('an abort signal destroys the socket and closes the server', async () => {
    const { server } = await pair()
    const controller = new AbortController()
    const client = keep(net.connect({ port: server.address().port, host: '127.0.0.1', signal: controller.signal }))
    await once(client, 'connect')
    controller.abort()
    await expect(once(client, 'end')).rejects.toMatchObject({ code: 'ABORT_ERR', name: 'AbortError' })
    const listening = keep(net.createServer())
    const stop = new AbortController()
    listening.listen({ port: 0, signal: stop.signal })
    await once(listening, 'listening')
    stop.abort()
    await once(listening, 'close')
  })

  test('onread reads into memory of the user', async () => {
    const { server } = await pair()
    server.on('connection', socket => socket.end('x'.repeat(100)))
    const memory = Buffer.alloc(16)
    const lengths = []
    const client = keep(net.connect({
      port: server.address().port, host: '127.0.0.1',
      onread: { buffer: memory, callback: (length, buffer) => { lengths.push(length); return buffer === memory } }
    }))
    await finished(client)
    expect(lengths.reduce((sum, length) => sum + length)).toBe(100)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(16)
  })

  test('a socket connects again after its end', async () => {
    const { server, client, accepted } = await pair()
    accepted.end()
    client.resume().end()
    await once(client, 'close')
    client.connect(server.address().port, '127.0.0.1')
    await once(client, 'connect')
    expect(client.destroyed).toBe(false)
    client.destroy()
  })

  test('a stream pipeline ends and closes everything', async () => {
    const { client, accepted } = await pair()
    const file = path.join(tmpdir(), `interproc-${randomUUID()}`)
    fs.writeFileSync(file, Buffer.alloc(2_000_000, 5))
    let got = 0
    accepted.on('data', data => { got += data.length })
    await Promise.all([pipeline(fs.createReadStream(file), client), once(accepted, 'end')])
    fs.unlinkSync(file)
    expect(got).toBe(2_000_000)
  })

  test('a socket closed by its peer in the middle of a large write is an error', async () => {
    const { client, accepted } = await pair()
    client.write(Buffer.alloc(30_000_000))
    accepted.once('data', () => accepted.resetAndDestroy())
    const [error] = await once(client, 'error')
    expect(['ECONNRESET', 'EPIPE']).toContain(error.code)
    await once(client, 'close')
    expect(client.destroyed).toBe(true)
  })
})
