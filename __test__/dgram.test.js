'use strict'

// The tests in the first part run on node:dgram and on ours: what is expected is what Node does.

const { once } = require('node:events')
const ours = require('../lib/dgram')
const theirs = require('node:dgram')

/** @type {any[]} */
let open = []

afterEach(() => {
  for (const socket of open) {
    try {
      socket.close()
    } catch (error) {
      if (error.code !== 'ERR_SOCKET_DGRAM_NOT_RUNNING') throw error
    }
  }
  open = []
})

function make (dgram, type = 'udp4') {
  const socket = dgram.createSocket(type)
  open.push(socket)
  return socket
}

async function bound (dgram, type = 'udp4') {
  const socket = make(dgram, type)
  socket.bind(0, (type.type ?? type) === 'udp4' ? '127.0.0.1' : '::1')
  await once(socket, 'listening')
  return socket
}

/** The next `count` messages as text. */
function texts (socket, count) {
  return new Promise(resolve => {
    const got = []
    socket.on('message', function take (message) {
      if (got.push(message.toString()) === count) {
        socket.off('message', take)
        resolve(got)
      }
    })
  })
}

describe.each([['node:dgram', theirs], ['interproc/dgram', ours]])('%s', (_name, dgram) => {
  test.each([['udp4', '127.0.0.1', 'IPv4'], ['udp6', '::1', 'IPv6']])('%s sends and receives', async (type, host, family) => {
    const [receiver, sender] = await Promise.all([bound(dgram, type), bound(dgram, type)])
    const { port } = receiver.address()
    expect(receiver.address()).toEqual({ address: host, family, port })
    const sent = new Promise(resolve => { sender.send('hello', port, host, (error, bytes) => resolve([error, bytes])) })
    const [message, from] = await once(receiver, 'message')
    expect(message).toBeInstanceOf(Buffer)
    expect(message.toString()).toBe('hello')
    expect(from).toEqual({ address: host, family, port: sender.address().port, size: 5 })
    expect(await sent).toEqual([null, 5])
  })

  test('every way to call send', async () => {
    const receiver = await bound(dgram)
    const sender = make(dgram)
    const { port } = receiver.address()
    const got = texts(receiver, 8)
    await new Promise(resolve => { sender.send('1', port, '127.0.0.1', resolve) })
    sender.send(Buffer.from('x2x'), 1, 1, port, '127.0.0.1')
    sender.send(['3', Buffer.from('three')], port, '127.0.0.1')
    sender.send(new Uint8Array([0x34]), port)
    sender.send('5', 0, 1, port)
    sender.send(new DataView(Buffer.from('6').buffer, Buffer.from('6').byteOffset, 0), port)
    sender.sendto(Buffer.from('7'), 0, 1, port, '127.0.0.1')
    sender.send([], port)
    expect(await got).toEqual(['1', '2', '3three', '4', '5', '', '7', ''])
  })

  test('datagrams of one tick arrive in order, whatever their size', async () => {
    const [receiver, sender] = await Promise.all([bound(dgram), bound(dgram)])
    const { port } = receiver.address()
    receiver.setRecvBufferSize(4 * 1024 * 1024)
    const sent = Array.from({ length: 60 }, (_, i) => String(i).padEnd(i % 7 === 0 ? 5000 : 64, '.'))
    const got = texts(receiver, sent.length)
    for (const text of sent) sender.send(text, port, '127.0.0.1')
    expect(await got).toEqual(sent)
  })

  test('two messages are awaited one after the other', async () => {
    const [receiver, sender] = await Promise.all([bound(dgram), bound(dgram)])
    for (const text of ['a', 'b', 'c']) sender.send(text, receiver.address().port, '127.0.0.1')
    for (const text of ['a', 'b', 'c']) {
      const [message] = await once(receiver, 'message')
      expect(message.toString()).toBe(text)
    }
  })

  test('a connected socket', async () => {
    const [receiver, sender, stranger] = await Promise.all([bound(dgram), bound(dgram), bound(dgram)])
    const { port } = receiver.address()
    expect(() => sender.remoteAddress()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }))
    sender.connect(port, '127.0.0.1')
    await once(sender, 'connect')
    expect(sender.remoteAddress()).toEqual({ address: '127.0.0.1', family: 'IPv4', port })
    expect(() => sender.connect(port)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }))
    expect(() => sender.send('x', 0, 1, port)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }))
    const got = texts(receiver, 2)
    sender.send('one')
    sender.send(Buffer.from('xtwox'), 1, 3)
    expect(await got).toEqual(['one', 'two'])
    const answers = texts(sender, 1)
    stranger.send('not heard', sender.address().port, '127.0.0.1')
    receiver.send('heard', sender.address().port, '127.0.0.1')
    expect(await answers).toEqual(['heard'])
    sender.disconnect()
    expect(() => sender.disconnect()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }))
  })

  test('a peer that has gone is ECONNREFUSED on a connected socket', async () => {
    const [receiver, sender] = await Promise.all([bound(dgram), bound(dgram)])
    sender.connect(receiver.address().port, '127.0.0.1')
    await once(sender, 'connect')
    await new Promise(resolve => { receiver.close(resolve) })
    sender.send('anybody?')
    expect((await once(sender, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED', syscall: 'recvmsg' })
  })

  test('what is too large is EMSGSIZE for its callback', async () => {
    const [receiver, sender] = await Promise.all([bound(dgram), bound(dgram)])
    const { port } = receiver.address()
    const got = texts(receiver, 1)
    const error = await new Promise(resolve => { sender.send(Buffer.alloc(70_000), port, '127.0.0.1', resolve) })
    expect(error).toMatchObject({ code: 'EMSGSIZE', syscall: 'send', address: '127.0.0.1', port })
    sender.send('after', port, '127.0.0.1')
    expect(await got).toEqual(['after'])
  })

  test('wrong arguments are clear errors at the call', async () => {
    const socket = await bound(dgram)
    const code = name => expect.objectContaining({ code: name })
    for (const type of ['udp5', undefined, 4, {}]) expect(() => dgram.createSocket(type)).toThrow(code('ERR_SOCKET_BAD_TYPE'))
    for (const port of [0, -1, 65536, 'x']) expect(() => socket.send('x', port, '127.0.0.1')).toThrow(code('ERR_SOCKET_BAD_PORT'))
    expect(() => socket.send(1, 1000)).toThrow(code('ERR_INVALID_ARG_TYPE'))
    expect(() => socket.send(Buffer.alloc(3), 2, 2, 1000, '127.0.0.1')).toThrow(code('ERR_BUFFER_OUT_OF_BOUNDS'))
    expect(() => socket.send('x', 1000, {})).toThrow(code('ERR_INVALID_ARG_TYPE'))
    expect(() => socket.bind(0)).toThrow(code('ERR_SOCKET_ALREADY_BOUND'))
    expect(() => socket.setTTL(0)).toThrow(code('EINVAL'))
    expect(() => socket.setTTL('x')).toThrow(code('ERR_INVALID_ARG_TYPE'))
    expect(() => socket.setRecvBufferSize(-1)).toThrow(code('ERR_SOCKET_BAD_BUFFER_SIZE'))
    expect(() => socket.addMembership()).toThrow(code('ERR_MISSING_ARGS'))
    expect(() => socket.addMembership('1.2.3.4')).toThrow(code('EINVAL'))
    await new Promise(resolve => { socket.close(resolve) })
    expect(() => socket.send('x', 1000)).toThrow(code('ERR_SOCKET_DGRAM_NOT_RUNNING'))
    expect(() => socket.close()).toThrow(code('ERR_SOCKET_DGRAM_NOT_RUNNING'))
    expect(() => make(dgram).setBroadcast(true)).toThrow(expect.objectContaining({ code: 'EBADF', message: 'setBroadcast EBADF' }))
    expect(() => make(dgram).getRecvBufferSize()).toThrow(code('ERR_SOCKET_BUFFER_SIZE'))
  })

  test('a port that is taken is EADDRINUSE', async () => {
    const first = await bound(dgram)
    const { port } = first.address()
    const second = make(dgram).bind(port, '127.0.0.1')
    expect((await once(second, 'error'))[0]).toMatchObject({
      code: 'EADDRINUSE', syscall: 'bind', address: '127.0.0.1', port, message: `bind EADDRINUSE 127.0.0.1:${port}`
    })
  })

  test('options, an abort signal, and what is queued', async () => {
    const socket = await bound(dgram, { type: 'udp4', recvBufferSize: 100_000, sendBufferSize: 100_000 })
    expect(socket.getRecvBufferSize()).toBeGreaterThanOrEqual(100_000)
    expect(socket.getSendBufferSize()).toBeGreaterThanOrEqual(100_000)
    expect(socket.setTTL(16)).toBe(16)
    expect(socket.setMulticastTTL(16)).toBe(16)
    expect(socket.setMulticastLoopback(true)).toBe(true)
    socket.setBroadcast(true)
    expect([socket.getSendQueueSize(), socket.getSendQueueCount()]).toEqual([0, 0])
    const controller = new AbortController()
    const stopped = dgram.createSocket({ type: 'udp4', signal: controller.signal })
    controller.abort()
    await once(stopped, 'close')
  })
})

// Node 20 has no block lists for datagrams.
test('block lists keep datagrams from leaving and from arriving', async () => {
  const { BlockList } = require('node:net')
  const list = new BlockList()
  list.addAddress('127.0.0.1')
  const receiver = await bound(ours, { type: 'udp4', receiveBlockList: list })
  const sender = await bound(ours, { type: 'udp4', sendBlockList: list })
  const { port } = receiver.address()
  const error = await new Promise(resolve => { sender.send('x', port, '127.0.0.1', resolve) })
  expect(error.code).toBe('ERR_IP_BLOCKED')
  expect((await new Promise(resolve => { sender.connect(port, '127.0.0.1', resolve) })).code).toBe('ERR_IP_BLOCKED')
  const messages = jest.fn()
  receiver.on('message', messages)
  const free = await bound(ours)
  await new Promise(resolve => { free.send('x', port, '127.0.0.1', resolve) })
  await new Promise(resolve => { setTimeout(resolve, 50) })
  expect(messages).not.toHaveBeenCalled()
})

describe('only here', () => {
  test('sendMany sends each message as a datagram', async () => {
    const [receiver, sender] = await Promise.all([bound(ours), bound(ours)])
    const { port } = receiver.address()
    receiver.setRecvBufferSize(4 * 1024 * 1024)
    const messages = Array.from({ length: 300 }, (_, i) => `message ${i}`)
    const got = texts(receiver, messages.length)
    const sent = await new Promise(resolve => { sender.sendMany(messages, port, '127.0.0.1', (error, count) => resolve([error, count])) })
    expect(sent).toEqual([null, 300])
    expect(await got).toEqual(messages)
    sender.connect(port, '127.0.0.1')
    await once(sender, 'connect')
    const again = texts(receiver, 2)
    const [error, count] = await new Promise(resolve => {
      sender.sendMany(['a', Buffer.alloc(70_000), 'b'], (...result) => resolve(result))
    })
    expect([error.code, count]).toEqual(['EMSGSIZE', 2])
    expect(await again).toEqual(['a', 'b'])
    expect(() => sender.sendMany('x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    expect(() => sender.sendMany([1])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    expect(() => sender.sendMany(['x'], port)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }))
  })

  test('what was sent before close() has left', async () => {
    const [receiver, sender] = await Promise.all([bound(ours), bound(ours)])
    const got = texts(receiver, 2)
    sender.send('one', receiver.address().port, '127.0.0.1')
    sender.send('two', receiver.address().port, '127.0.0.1')
    sender.close()
    expect(await got).toEqual(['one', 'two'])
  })

  test('a listener that throws loses no later datagram', async () => {
    const { spawnSync } = require('node:child_process')
    const program = `
      const dgram = require(${JSON.stringify(require.resolve('../lib/dgram'))})
      const receiver = dgram.createSocket('udp4'), sender = dgram.createSocket('udp4'), got = []
      process.on('uncaughtException', error => got.push(error.message))
      receiver.on('message', message => {
        got.push(String(message))
        throw new Error('!' + message)
      })
      receiver.bind(0, '127.0.0.1', () => ['a', 'b', 'c'].forEach(text => sender.send(text, receiver.address().port, '127.0.0.1')))
      setInterval(() => { if (got.length === 6) { console.log(got.join(' ')); process.exit() } }, 10)
      setTimeout(() => process.exit(1), 15_000)
    `
    expect(spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 20_000 }).stdout.trim()).toBe('a !a b !b c !c')
  })
})
