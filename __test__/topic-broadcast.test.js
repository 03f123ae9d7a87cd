'use strict'

const { once } = require('node:events')
const threads = require('node:worker_threads')
const interproc = require('..')
const support = require('./fixtures/queue-support')

const { BroadcastChannel, SharedBuffer } = interproc

const open = []
const make = name => {
  const channel = new BroadcastChannel(name)
  open.push(channel)
  return channel
}
afterEach(() => open.splice(0).forEach(channel => channel.close()))

const unique = what => `${what} ${process.pid} ${Math.random()}`

/** The data of the next events, in order. */
function next (channel, count = 1) {
  return new Promise(resolve => {
    const found = []
    const listener = ({ data }) => {
      if (found.push(data) < count) return
      channel.removeEventListener('message', listener)
      resolve(found)
    }
    channel.addEventListener('message', listener)
  })
}

/** What any BroadcastChannel does, told by a list of words: ours must tell the same as Node's. */
async function story (Channel) {
  const said = []
  const name = unique('story')
  const [one, two, other] = [new Channel(name), new Channel(name), new Channel(`${name} else`)]
  const attempt = call => {
    try {
      call()
      return 'nothing'
    } catch (error) {
      return [error.constructor.name, error.name, error.code, error.message]
    }
  }
  said.push(one.name === name, one instanceof EventTarget, one.onmessage, one.onmessageerror, Channel.length)
  said.push(new Channel(12).close(), attempt(() => new Channel()), attempt(() => new Channel(Symbol('x'))))
  said.push(attempt(() => one.postMessage(() => {})), attempt(() => one.postMessage(new WeakMap())), attempt(() => one.postMessage()))
  said.push(attempt(() => one.postMessage({ a: [Symbol('deep')] })))
  said.push(attempt(() => one.postMessage({ get bad () { throw new RangeError('own') } })))
  said.push(attempt(() => Channel.prototype.postMessage.call({}, 1)), attempt(() => Channel.prototype.name))
  one.onmessage = () => said.push('to its sender')
  other.onmessage = () => said.push('to another name')
  const handler = { handleEvent () { said.push('never') } }
  two.onmessage = handler
  said.push(two.onmessage === handler)
  two.addEventListener('message', { handleEvent: event => said.push(`object ${event.data}`) })
  two.addEventListener('message', event => said.push(`once ${event.data}`), { once: true })
  const controller = new AbortController()
  two.addEventListener('message', ({ data }) => {
    said.push(`signal ${data}`)
    if (data === 2) controller.abort()
  }, { signal: controller.signal })
  const over = new Promise(resolve => {
    two.onmessage = function (event) {
      said.push(`on ${event.data}`, this === two, event.target === two, event.type, event.origin, event.bubbles, event.source, event.ports)
      said.push(event instanceof MessageEvent)
      Promise.resolve().then(() => {}).then(() => said.push(`micro ${event.data}`))
      process.nextTick(() => said.push(`tick ${event.data}`))
      if (event.data === 4) resolve()
    }
  })
  two.addEventListener('message', ({ data }) => said.push(`last ${data}`))
  for (const number of [1, 2, 3]) said.push(one.postMessage(number))
  said.push('posted')
  one.postMessage(4)
  one.close()
  one.close()
  said.push(attempt(() => one.postMessage(5)), one.name === name)
  await over
  two.onmessage = null
  said.push(two.onmessage, two.ref() === two, two.unref() === two)
  two.close()
  other.close()
  await new Promise(resolve => setTimeout(resolve, 50))
  return said
}

test("does what Node's does", async () => {
  expect(await story(BroadcastChannel)).toEqual(await story(threads.BroadcastChannel))
})

test("clones what Node's clones", async () => {
  const shared = { s: 1 }
  const cyclic = new Map([[1, { date: new Date(5) }]])
  cyclic.get(1).self = cyclic
  const values = [
    cyclic, [shared, shared], new Set([1n, -0, NaN]), /x/gi, new Uint8Array([1, 2, 3]), new Float64Array([0.5]), new BigInt64Array([5n]),
    new Uint16Array([1, 2]).buffer, new RangeError('range', { cause: 'why' }), null, undefined, Object(false), Object(1n), { get g () { return 5 } },
    'ü😀', '', 'half \ud800 pair', -0, 2n ** 70n, 'x'.repeat(3_000_000)
  ]
  const received = []
  for (const Channel of [BroadcastChannel, threads.BroadcastChannel]) {
    const name = unique('clone')
    const [from, to] = [new Channel(name), new Channel(name)]
    const all = next(to, values.length)
    for (const value of values) from.postMessage(value)
    received.push(await all)
    from.close()
    to.close()
  }
  const [ours, nodes] = received
  expect(ours).toEqual(nodes)
  expect(ours[0].get(1).self).toBe(ours[0])
  expect(ours[1][0]).toBe(ours[1][1])
  expect(Object.is(ours[17], -0)).toBe(true)
  // Bytes of their own: not the whole pool that a Buffer is cut from.
  const [from, to] = [make('own bytes'), make('own bytes')]
  const bytes = next(to, 3)
  from.postMessage(Buffer.from('hi'))
  from.postMessage(new DataView(new ArrayBuffer(8), 2, 3))
  from.postMessage([1, , 3])
  const [buffer, view, sparse] = await bytes
  expect([Object.getPrototypeOf(buffer).constructor.name, buffer.buffer.byteLength, view.byteLength, view.buffer.byteLength]).toEqual(['Uint8Array', 2, 3, 3])
  expect([1 in sparse, sparse.length]).toEqual([false, 3])
})

test('a shared buffer arrives as the same memory', async () => {
  const name = unique('shared')
  const [from, to] = [make(name), make(name)]
  const buffer = SharedBuffer.alloc(64)
  from.postMessage({ list: [buffer] })
  const [{ list: [same] }] = await next(to)
  same[3] = 7
  expect(buffer[3]).toBe(7)
  buffer.close()
  same.close()
})

test('other processes and threads, many of them, in order', async () => {
  const name = unique('processes')
  const channel = make(name)
  const workers = [1, 2, 3].map(() => support.worker('channel', name, {}, 'topic-worker.js'))
  for (const { line } of workers) expect(await line()).toBe('open')
  const thread = new threads.Worker(`
    const { workerData: [lib, name], parentPort } = require('node:worker_threads')
    const { BroadcastChannel } = require(lib)
    const channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }) => {
      if (data === 'end') return channel.close()
      if (data.from === undefined) channel.postMessage({ from: 'thread', data })
    }
    parentPort.postMessage('open')`, { eval: true, workerData: [require.resolve('..'), name] })
  await once(thread, 'message')
  const ended = once(thread, 'exit')
  // Each answers each, and the answers of the others' answers, and so on: only what is ours is looked at.
  const wanted = 4 * 50
  const answers = new Map()
  let count = 0
  const all = new Promise(resolve => {
    channel.onmessage = ({ data: { from, data } }) => {
      if (typeof data !== 'number') return
      expect(data).toBe(answers.get(from) ?? 0)
      answers.set(from, data + 1)
      if (++count === wanted) resolve()
    }
  })
  for (let i = 0; i < 50; i++) channel.postMessage(i)
  await all
  channel.postMessage('end')
  for (const { end } of workers) expect(await end).toBe(0)
  expect((await ended)[0]).toBe(0)
})

test('a receiver that takes nothing: messages wait here, and postMessage never does; beyond the bound it throws', async () => {
  const name = unique('full')
  const [from, to] = [make(name), make(name)]
  const megabyte = new Uint8Array(1 << 19)
  let posted = 0
  // Nothing is received before this very turn ends.
  expect(() => {
    for (;; posted++) from.postMessage(megabyte)
  }).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_FULL' }))
  expect(posted).toBeGreaterThan(120)
  const all = next(to, posted)
  from.close() // What was posted still goes out.
  expect(await all).toHaveLength(posted)
})

test('an error in a listener does not stop the others', async () => {
  const child = require('node:child_process').spawnSync(process.execPath, ['-e', `
    const { BroadcastChannel } = require(${JSON.stringify(require.resolve('..'))})
    const name = ${JSON.stringify(unique('throws'))}
    const [a, b] = [new BroadcastChannel(name), new BroadcastChannel(name)]
    process.on('uncaughtException', error => console.log('uncaught', error.message))
    b.addEventListener('message', ({ data }) => { throw new Error(data) })
    b.addEventListener('message', ({ data }) => { console.log('then', data); if (data === 2) { a.close(); b.close() } })
    a.postMessage(1)
    a.postMessage(2)`], { encoding: 'utf8' })
  expect(child.stdout.trim().split('\n')).toEqual(['then 1', 'uncaught 1', 'then 2', 'uncaught 2'])
  expect(child.status).toBe(0)
})

test('what cannot be read is a messageerror, and the next one comes', async () => {
  const { openChannel } = require('../lib/topic/open')
  const name = unique('error')
  const channel = make(name)
  const raw = openChannel(`BroadcastChannel: ${name}`, { receives: false, codec: 5 }, () => {})
  const errors = []
  channel.onmessageerror = event => errors.push([event.type, event.data])
  const received = next(channel)
  raw.sendOne(5, Buffer.from('no clone'))
  raw.sendOne(77, Buffer.from('no tag'))
  raw.sendOne(1, Buffer.from('text'))
  expect(await received).toEqual(['text'])
  expect(errors).toEqual([['messageerror', null], ['messageerror', null]])
  raw.close()
})

test('any string is a name', async () => {
  for (const name of ['', 'x'.repeat(10_000), 'a\0b', 'half \ud800', 'interproc:1']) {
    const [from, to] = [make(name), make(name)]
    from.postMessage(name)
    expect([await next(to), to.name]).toEqual([[name], name])
  }
})

test('keeps the process alive until it is closed or not referenced', async () => {
  const { spawnSync } = require('node:child_process')
  const run = code => spawnSync(process.execPath, ['-e', `
    const { BroadcastChannel } = require(${JSON.stringify(require.resolve('..'))})
    const channel = new BroadcastChannel(${JSON.stringify(unique('alive'))})
    ${code}`], { timeout: 10_000 }).status
  expect(run('channel.onmessage = () => {}; channel.unref()')).toBe(0)
  expect(run('channel.unref(); channel.ref(); setTimeout(() => channel.close(), 300); setTimeout(() => process.exit(9), 200)')).toBe(9)
  expect(run('setTimeout(() => process.exit(9), 300).unref()')).toBe(9)
})
