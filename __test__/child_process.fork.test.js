'use strict'

// Every test in the first part runs on node:child_process and on ours; the child is a plain Node program in both.

const { once } = require('node:events')
const nodeDgram = require('node:dgram')
const net = require('node:net')
const path = require('node:path')

const ours = require('../lib/child_process')
const interprocDgram = require('../lib/dgram')
const interprocNet = require('../lib/net')
const theirs = require('node:child_process')

const program = path.join(__dirname, 'fixtures', 'fork-child.js')
const CHANNEL = { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }

async function textFrom (port) {
  let text = ''
  for await (const chunk of net.connect(port, '127.0.0.1').setEncoding('utf8')) text += chunk
  return text
}

describe.each([['node:child_process', theirs], ['interproc/child_process', ours]])('%s', (_name, { fork, spawn }) => {
  /** @type {any[]} */
  let children = []

  afterEach(async () => {
    for (const child of children) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    children = []
  })

  function start (job, options = {}) {
    const child = fork(program, [job], options)
    children.push(child)
    return child
  }

  test.each(['json', 'advanced'])('messages there and back: %s', async serialization => {
    const child = start('echo', { serialization })
    const big = { text: '€'.repeat(1_000_000) }
    const messages = ['text', 1.5, true, null, { nested: [{ deep: [1, 2, null] }] }, [], '', 'two\nlines', big]
    const got = []
    for (const message of messages) child.send(message)
    await new Promise(resolve => child.on('message', message => got.push(message) === messages.length && resolve()))
    expect(got).toEqual(messages)
    child.disconnect()
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('advanced carries what JSON cannot', async () => {
    const child = start('echo', { serialization: 'advanced' })
    const message = { map: new Map([[1, new Set(['a'])]]), date: new Date(0), big: 2n ** 70n, bytes: Buffer.from('abc'), floats: Float64Array.of(1.5) }
    child.send(message)
    const [got] = await once(child, 'message')
    expect({ ...got, bytes: null }).toEqual({ ...message, bytes: null })
    expect(Buffer.from(got.bytes).toString()).toBe('abc')
  })

  test('many messages arrive in order, the last ones after the end, too', async () => {
    const child = start('count')
    let next = 0
    child.on('message', ({ i, text }) => {
      if (i !== next || text.length !== i % 100) throw new Error(`${i} instead of ${next}`)
      next += 1
    })
    await once(child, 'exit')
    if (child.connected) await once(child, 'disconnect')
    expect(next).toBe(20_001)
  })

  test('the child sees only what it was given', async () => {
    const [message] = await once(start('arguments', { execArgv: ['--no-warnings'] }), 'message')
    expect(message).toEqual({ argv: ['arguments'], execArgv: ['--no-warnings'], env: null })
  })

  test('connected, channel and disconnect', async () => {
    const child = start('wait')
    expect([child.connected, typeof child.channel.ref, typeof child.channel.fd]).toEqual([true, 'function', 'number'])
    const sent = await new Promise(resolve => child.send('x', resolve))
    expect(sent).toBeNull()
    child.disconnect()
    expect(child.connected).toBe(false)
    await once(child, 'disconnect')
    expect(child.channel).toBeNull()
    const failed = await new Promise(resolve => child.send('x', resolve))
    expect(failed).toMatchObject({ code: 'ERR_IPC_CHANNEL_CLOSED', message: 'Channel closed' })
    const failure = new Promise(resolve => child.on('error', (...args) => resolve(args)))
    child.disconnect()
    const [error] = await failure
    expect(error.code).toBe('ERR_IPC_DISCONNECTED')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('the end of the child is the end of the channel', async () => {
    const child = start('wait', { silent: true })
    const log = []
    for (const name of ['spawn', 'disconnect', 'exit', 'close']) child.on(name, () => log.push(name))
    await once(child, 'spawn')
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(log.filter(name => name !== 'disconnect')).toEqual(['spawn', 'exit', 'close'])
    expect(log).toContain('disconnect')
    expect(child.connected).toBe(false)
  })

  test.each([
    [child => child.send(), 'ERR_MISSING_ARGS'],
    [child => child.send(undefined), 'ERR_MISSING_ARGS'],
    [child => child.send(() => {}), 'ERR_INVALID_ARG_TYPE'],
    [child => child.send(1n), 'ERR_INVALID_ARG_TYPE'],
    [child => child.send('x', {}), 'ERR_INVALID_HANDLE_TYPE'],
    [child => child.send('x', undefined, 1), 'ERR_INVALID_ARG_TYPE']
  ])('bad messages: %s', (send, code) => {
    const child = start('wait')
    expect(() => send(child)).toThrow(expect.objectContaining({ code }))
  })

  test('messages wait for a listener', async () => {
    const child = spawn('sh', ['-c', 'printf "1\\n2\\n" >&3; exec cat'], { stdio: ['pipe', 'ignore', 'inherit', 'ipc'] })
    children.push(child)
    await new Promise(resolve => setTimeout(resolve, 200))
    const got = []
    child.on('message', message => got.push(message))
    await new Promise(resolve => setImmediate(resolve))
    expect(got).toEqual([1, 2])
  })

  test('internal messages are not for users', async () => {
    const child = spawn('sh', ['-c', 'echo \'{"cmd":"NODE_THING"}\' >&3; echo \'{"cmd":"other"}\' >&3'], CHANNEL)
    children.push(child)
    const internal = once(child, 'internalMessage')
    expect((await once(child, 'message'))[0]).toEqual({ cmd: 'other' })
    expect((await internal)[0]).toEqual({ cmd: 'NODE_THING' })
  })

  test('a server goes to the child, which accepts', async () => {
    const child = start('serve')
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address()
    child.send('server', server)
    expect((await once(child, 'message'))[0]).toBe('ready')
    server.close()
    expect(await textFrom(port)).toBe('from the child')
  })

  test('a connection goes to the child, which answers', async () => {
    const child = start('answer')
    const server = net.createServer({ pauseOnConnect: true }, socket => child.send('socket', socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address()
    expect(await Promise.all([textFrom(port), textFrom(port), textFrom(port)])).toEqual(Array(3).fill('from the child'))
    const count = () => new Promise((resolve, reject) => server.getConnections((error, count) => error ? reject(error) : resolve(count)))
    while (await count() > 0); // The child counts, and tells.
    await new Promise(resolve => server.close(resolve))
  })

  test('a server comes from the child, which ends', async () => {
    const child = start('give')
    const [message, server] = await once(child, 'message')
    child.send('thanks')
    await once(child, 'exit')
    expect(message).toBe('server')
    server.on('connection', socket => socket.end('from the parent'))
    expect(await textFrom(server.address().port)).toBe('from the parent')
    await new Promise(resolve => server.close(resolve))
  })

  test.each([
    [() => fork(), 'ERR_INVALID_ARG_TYPE'],
    [() => fork(program, 'x'), 'ERR_INVALID_ARG_TYPE'],
    [() => fork(program, [], 'x'), 'ERR_INVALID_ARG_TYPE'],
    [() => fork('a\0'), 'ERR_INVALID_ARG_VALUE'],
    [() => fork(program, { stdio: ['pipe', 'pipe', 'pipe'] }), 'ERR_CHILD_PROCESS_IPC_REQUIRED'],
    [() => fork(program, { execArgv: ['\0'] }), 'ERR_INVALID_ARG_VALUE']
  ])('bad arguments: %s', (call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }))
  })
})

describe('what Node does not do', () => {
  const { fork, spawn } = ours

  test.each([
    ['no JSON', 'printf "not json\\n" >&3', 'json', 'not JSON'],
    ['half of UTF-8', 'printf "\\xff\\xfe\\n" >&3', 'json', 'not JSON'],
    ['no structured clone', 'printf "\\0\\0\\0\\4abcd" >&3', 'advanced', 'not in the structured-clone format'],
    ['a length beyond all bounds', 'printf "\\377\\377\\377\\377abcd" >&3', 'advanced', 'longer than']
  ])('%s is an error event and the end of the channel', async (_case, script, serialization, words) => {
    const child = spawn('bash', ['-c', `${script}; cat`], { stdio: ['pipe', 'ignore', 'inherit', 'ipc'], serialization })
    const [error] = await new Promise(resolve => child.on('error', (...args) => resolve(args)))
    expect(error.code).toBe('ERR_IPC_BAD_MESSAGE')
    expect(error.message).toContain(words)
    expect(child.connected).toBe(false)
    child.stdin.end()
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('half a message and the end: the end', async () => {
    const child = spawn('sh', ['-c', 'printf "{\\"half\\":" >&3'], CHANNEL)
    await once(child, 'disconnect')
  })

  test('close comes after disconnect, too', async () => {
    const child = fork(program, ['wait'])
    await once(child, 'spawn')
    child.disconnect()
    expect(await once(child, 'close')).toEqual([0, null])
  })

  test.each([['node:dgram', nodeDgram], ['interproc/dgram', interprocDgram]])('a UDP socket of %s goes to the child, which receives', async (_kind, dgram) => {
    const child = fork(program, ['datagram'])
    const socket = dgram.createSocket('udp4')
    await new Promise(resolve => socket.bind(0, '127.0.0.1', resolve))
    const { port } = socket.address()
    child.send('socket', socket)
    expect((await once(child, 'message'))[0]).toBe('ready')
    socket.close()
    const sender = nodeDgram.createSocket('udp4')
    sender.send('datagram', port, '127.0.0.1')
    expect((await once(child, 'message'))[0]).toBe('datagram to the child')
    sender.close()
    child.kill()
    await once(child, 'exit')
  })

  test('sockets of interproc travel as well', async () => {
    const child = fork(program, ['answer'])
    const server = interprocNet.createServer({ pauseOnConnect: true }, socket => child.send('socket', socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(await textFrom(server.address().port)).toBe('from the child')
    await new Promise(resolve => server.close(resolve))
    child.disconnect()
    await once(child, 'exit')
  })
})
