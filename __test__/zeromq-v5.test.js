'use strict'

// The API of versions 4 and 5.

const { execFile } = require('node:child_process')
const { promisify } = require('node:util')
const zmq = require('../lib/zeromq/v5-compat')
const { zmq: both } = require('../lib')
const { address, until, delay } = require('./fixtures/zeromq-ends')

/** @type {any[]} */
let open
beforeEach(() => { open = [] })
afterEach(() => open.forEach(socket => socket.close()))

function make (type, options) {
  const socket = zmq.socket(type, { linger: 0, ...options })
  open.push(socket)
  return socket
}

function pair (first, second, transport = 'tcp') {
  const [a, b] = [make(first), make(second)]
  a.bindSync(address(transport))
  b.connect(a.last_endpoint)
  return [a, b]
}

/** Collects what a socket emits as `message`. */
function messages (socket) {
  const all = []
  socket.on('message', (...frames) => all.push(frames.map(String)))
  return all
}

test.each(['tcp', 'ipc', 'inproc'])('push and pull over %s', async transport => {
  const [push, pull] = pair('push', 'pull', transport)
  const got = messages(pull)
  push.send('one').send(['two', Buffer.from('frames')])
  push.send('more', zmq.ZMQ_SNDMORE)
  push.send(['of', 'it'])
  await until(() => got.length === 3)
  expect(got).toEqual([['one'], ['two', 'frames'], ['more', 'of', 'it']])
})

test('req and rep', async () => {
  const [rep, req] = pair('rep', 'req')
  rep.on('message', question => rep.send(`${question}!`))
  const got = messages(req)
  req.send('a')
  await until(() => got.length === 1)
  req.send('b')
  await until(() => got.length === 2)
  expect(got).toEqual([['a!'], ['b!']])
})

test('router and dealer', async () => {
  const [router, dealer] = pair('router', 'dealer')
  router.on('message', (id, text) => router.send([id, `${text} back`]))
  const got = messages(dealer)
  dealer.send('hello')
  await until(() => got.length === 1)
  expect(got).toEqual([['hello back']])
})

test('pub and sub, by name of the root', async () => {
  const pub = both.socket('pub')
  const sub = both.socket('sub')
  open.push(pub, sub)
  pub.bindSync(address('tcp'))
  const got = messages(sub)
  sub.subscribe('a').connect(pub.last_endpoint)
  sub.setsockopt(both.ZMQ_SUBSCRIBE, Buffer.from('b'))
  await delay(100)
  for (const topic of ['a', 'b', 'c']) pub.send([topic, 'x'])
  await until(() => got.length === 2)
  sub.unsubscribe('a')
  await delay(100)
  for (const topic of ['a', 'b']) pub.send([topic, 'y'])
  await until(() => got.length === 3)
  expect(got).toEqual([['a', 'x'], ['b', 'x'], ['b', 'y']])
  expect(() => pub.subscribe('a')).toThrow('Subscriber socket required')
})

test('callbacks tell when a message is queued, and what went wrong', async () => {
  const [push, pull] = pair('push', 'pull')
  await new Promise(resolve => push.send('x', null, resolve))
  await expect(new Promise((resolve, reject) => pull.send('x', 0, error => error ? reject(error) : resolve()))).rejects.toThrow('Cannot send')
  const second = make('push')
  const error = await new Promise(resolve => second.bind(push.last_endpoint, resolve))
  expect(error).toMatchObject({ code: 'EADDRINUSE' })
  const told = new Promise(resolve => second.on('error', resolve))
  second.bind('nonsense')
  expect(await told).toMatchObject({ code: 'EINVAL' })
})

test('a closed socket refuses in the callback, or with an event', async () => {
  const [push] = pair('push', 'pull')
  push.close()
  expect(push.closed).toBe(true)
  expect(await new Promise(resolve => push.send('x', 0, resolve))).toMatchObject({ code: 'EBADF' })
  const told = new Promise(resolve => push.once('error', resolve))
  expect(push.send('y')).toBe(push)
  expect(await told).toMatchObject({ code: 'EBADF' })
  for (const call of [() => push.connect(address('tcp')), () => push.bindSync(address('tcp')), () => push.getsockopt('linger')]) {
    expect(call).toThrow(expect.objectContaining({ code: 'EBADF' }))
  }
})

test.each([100, 5000])('of %d messages sent none is lost by a close right afterwards', async count => {
  const pull = make('pull')
  pull.bindSync(address('tcp'))
  const got = messages(pull)
  const push = make('push', { linger: -1 })
  push.connect(pull.last_endpoint)
  const told = []
  for (let i = 0; i < count; i++) push.send(String(i), 0, error => told.push(error))
  push.close()
  expect(push.closed).toBe(true)
  await until(() => got.length === count && told.length === count)
  expect(got.every(([text], i) => text === String(i))).toBe(true)
  expect(told.every(error => error === undefined)).toBe(true)
})

test('more than the marks hold leaves over inproc, too', async () => {
  const [pull, push] = [make('pull'), make('push', { linger: -1 })]
  const where = address('inproc')
  pull.bindSync(where)
  const got = messages(pull)
  push.connect(where)
  for (let i = 0; i < 5000; i++) push.send(String(i))
  push.close()
  await until(() => got.length === 5000)
  expect(got.every(([text], i) => text === String(i))).toBe(true)
})

test.each(['push', 'dealer', 'req', 'rep'])('a %s that nobody takes messages of closes all the same', async type => {
  const [socket, peer] = [make(type, { linger: -1 }), make({ push: 'pull', dealer: 'dealer', req: 'rep', rep: 'req' }[type])]
  const bound = type === 'rep' ? peer : socket
  bound.bindSync(address('tcp'))
  const told = []
  if (type === 'req' || type === 'rep') {
    for (const end of [socket, peer]) if (end !== bound) end.connect(bound.last_endpoint)
  }
  for (let i = 0; i < 3; i++) socket.send(String(i), 0, error => told.push(error))
  socket.close()
  await until(() => told.length === 3 && socket.inner.closed)
  expect(told.slice(type === 'req' ? 1 : 0).every(error => error !== undefined)).toBe(true)
})

test('what was sent while paused leaves at the close', async () => {
  const pull = make('pull')
  pull.bindSync(address('tcp'))
  const got = messages(pull)
  const push = make('push', { linger: -1 })
  push.connect(pull.last_endpoint)
  push.pause()
  push.send('a').send('b').close()
  await until(() => got.length === 2)
  expect(got).toEqual([['a'], ['b']])
})

test.each([0, 50])('with a linger of %d ms each callback is told of what could not leave', async linger => {
  const push = make('push', { linger })
  push.on('error', () => expect('an error event').toBe('none'))
  push.setsockopt(zmq.ZMQ_SNDHWM, 1)
  push.connect('tcp://127.0.0.1:1') // Nobody is there, so one message waits in the socket and the others before it.
  push.send('no callback')
  const told = []
  for (let i = 0; i < 10; i++) push.send(String(i), 0, error => told.push(error.code))
  push.close()
  await until(() => told.length === 10 && push.inner.closed)
  expect(told.every(code => ['EBADF', 'EAGAIN'].includes(code))).toBe(true)
})

test('a callback that throws is called once, and the next messages leave', async () => {
  const script = `
    const zmq = require(${JSON.stringify(require.resolve('../lib/zeromq/v5-compat'))})
    const [push, pull] = [zmq.socket('push'), zmq.socket('pull')]
    pull.bindSync('tcp://127.0.0.1:*')
    push.connect(pull.last_endpoint)
    let calls = 0, thrown = 0, got = 0
    process.on('uncaughtException', error => { if (error.message === 'mine') thrown++ })
    pull.on('message', () => { if (++got === 2) setTimeout(() => { console.log(calls, thrown, got); push.close(); pull.close() }, 50) })
    push.send('a', 0, () => { calls++; throw new Error('mine') })
    push.send('b')
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { timeout: 20_000 })
  expect(stdout.trim()).toBe('1 1 2')
})

test('what does not fit under the mark waits', async () => {
  const scout = make('pull')
  scout.bindSync(address('tcp'))
  const where = scout.last_endpoint
  scout.close()
  const push = make('push')
  push.connect(where)
  for (let i = 0; i < 3000; i++) push.send(String(i))
  const pull = make('pull')
  const got = messages(pull)
  pull.bindSync(where)
  await until(() => got.length === 3000)
  expect(got.every(([text], i) => text === String(i))).toBe(true)
})

test('a paused socket is silent, and loses nothing', async () => {
  const [push, pull] = pair('push', 'pull')
  const got = messages(pull)
  push.send('one')
  await until(() => got.length === 1)
  pull.pause()
  for (let i = 0; i < 10; i++) push.send(String(i))
  await delay(50)
  expect(got.length).toBeLessThanOrEqual(2)
  pull.resume()
  await until(() => got.length === 11)
})

test('a socket that is closed by a listener is silent', async () => {
  const [push, pull] = pair('push', 'pull')
  const got = messages(pull)
  pull.once('message', () => pull.close())
  for (let i = 0; i < 10; i++) push.send(String(i))
  await until(() => got.length > 0)
  await delay(50)
  expect(got).toEqual([['0']])
})

test('a monitor tells of connections', async () => {
  const [push, pull] = [make('push'), make('pull')]
  const seen = []
  for (const event of ['listen', 'accept', 'disconnect', 'close']) push.monitor().on(event, (value, where) => seen.push([event, where]))
  push.bindSync(address('tcp'))
  const where = push.last_endpoint
  pull.connect(where)
  await until(() => seen.length === 2)
  pull.close()
  await until(() => seen.length === 3)
  expect(seen).toEqual([['listen', where], ['accept', where], ['disconnect', where]])
})

test('options by their short names and numbers', () => {
  const dealer = make('dealer', { identity: 'me' })
  expect(dealer.identity).toBe('me')
  dealer.setsockopt(zmq.ZMQ_SNDHWM, 5)
  expect(dealer.getsockopt(zmq.ZMQ_SNDHWM)).toBe(5)
  expect(dealer.getsockopt('linger')).toBe(0)
  expect(() => dealer.setsockopt(9999, 1)).toThrow('Unknown option')
  expect(() => dealer.read()).toThrow('removed')
  expect(() => zmq.socket('shove')).toThrow('Invalid socket type: shove')
})
