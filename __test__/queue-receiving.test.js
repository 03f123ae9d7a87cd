'use strict'

/** What goes wrong while messages are received: nothing is lost by it, and nothing comes twice. */

const fs = require('node:fs')
const { Worker } = require('node:worker_threads')
const { Queue } = require('..')
const native = require('../lib/native')
const { jsonCodec } = require('./fixtures/json-codec')
const { failure, withoutDescriptors } = require('./fixtures/descriptors')

const open = []
const make = (...args) => {
  const queue = new Queue(...args)
  open.push(queue)
  return queue
}
afterEach(() => open.splice(0).forEach(queue => queue.close()))

/** A queue whose native half is changed. */
function withNative (change, options = {}) {
  const { openQueue } = native
  const opened = jest.spyOn(native, 'openQueue').mockImplementation((...args) => {
    const handle = openQueue(...args)
    change(handle)
    return handle
  })
  try {
    return make(options)
  } finally {
    opened.mockRestore()
  }
}

describe('a message that cannot be decoded, with acknowledgement', () => {
  const thrown = new Error('cannot decode')
  const codec = {
    encode: value => JSON.stringify(value),
    decode (bytes) {
      const value = JSON.parse(bytes)
      if (value.bad) throw value.bad === 'same' ? thrown : value.bad === 'frozen' ? Object.freeze(new Error('frozen')) : new Error('new')
      return value
    }
  }
  const ways = {
    receive: queue => queue.receive(),
    tryReceive: queue => queue.tryReceive(),
    receiveMany: queue => queue.receiveMany(),
    receiveSync: queue => queue.receiveSync({ timeout: 1000 }),
    'for await': queue => queue[Symbol.asyncIterator]().next(),
    "'message'": queue => new Promise((resolve, reject) => queue.once('error', reject).on('message', resolve))
  }

  test.each(Object.keys(ways))('%s: it comes with the error, and can be acknowledged: the queue goes on', async way => {
    const queue = make({ ack: true, capacity: 4096, codec })
    queue.trySend({ bad: true })
    const { message, received } = await failure(() => ways[way](queue))
    queue.removeAllListeners('message')
    expect(message).toBe('new')
    expect(JSON.parse(received.data)).toEqual({ bad: true })
    expect([received.redelivered, received.ack(), received.ack()]).toEqual([false, true, false])
    for (let i = 0; i < 1000; i++) {
      expect(queue.trySend({ i })).toBe(true)
      expect(queue.tryReceive().ack()).toBe(true)
    }
    expect(queue.stats().used).toBe(0)
  })

  test('released, another receiver gets it', async () => {
    const one = make({ ack: true, codec })
    const two = make(one.ticket, { codec: { ...codec, decode: bytes => JSON.parse(bytes) } })
    one.trySend({ bad: true })
    const { received } = await failure(() => one.receive())
    expect(two.tryReceive()).toBeUndefined()
    expect(received.release()).toBe(true)
    const again = two.tryReceive()
    expect([again.data, again.redelivered, again.ack()]).toEqual([{ bad: true }, true, true])
  })

  test('of a batch, those before it come first, and it comes once', async () => {
    const queue = make({ ack: true, codec })
    await queue.sendMany([{ a: 1 }, { bad: true }, { b: 2 }])
    expect((await queue.receiveMany()).map(({ data }) => data)).toEqual([{ a: 1 }])
    const { received } = await failure(() => queue.receiveMany())
    expect(queue.ack(received)).toBe(true)
    expect((await queue.receiveMany()).map(({ data }) => data)).toEqual([{ b: 2 }])
  })

  test('each has its own error, also where the codec throws one error again, or one that takes nothing', async () => {
    const queue = make({ ack: true, codec })
    for (const bad of ['same', 'same', 'frozen']) queue.trySend({ bad })
    const errors = [await failure(() => queue.receive()), await failure(() => queue.receive()), await failure(() => queue.receive())]
    expect(errors[0]).toBe(thrown)
    expect(errors.slice(1).map(({ code, cause }) => [code, cause.message])).toEqual([
      ['ERR_QUEUE_CODEC', 'cannot decode'], ['ERR_QUEUE_CODEC', 'frozen']
    ])
    expect(errors.map(({ received }) => received.ack())).toEqual([true, true, true])
    expect(Object.keys(thrown)).toEqual([])
  })
})

describe('a large message while descriptors are out', () => {
  const large = Buffer.alloc(2 << 20, 7)
  const ways = {
    receive: queue => queue.receive(),
    tryReceive: queue => queue.tryReceive(),
    receiveMany: queue => queue.receiveMany(),
    receiveSync: queue => queue.receiveSync({ timeout: 1000 }),
    drain: queue => queue.drain(() => {})
  }

  test.each(Object.keys(ways).flatMap(way => [[way, false], [way, true]]))('%s (ack: %s) fails, and the message stays', async (way, ack) => {
    const from = make({ ack })
    const [to, other] = [make(from.ticket), make(from.ticket)]
    from.trySend('before')
    from.trySend(large)
    from.trySend('behind')
    const data = message => ack ? [message.data, message.ack()][0] : message
    expect(data(to.tryReceive())).toBe('before')
    expect((await withoutDescriptors(() => failure(() => ways[way](to)))).code).toBe('EMFILE')
    await new Promise(resolve => setImmediate(resolve))
    expect(data(other.tryReceive()).equals(large)).toBe(true)
    expect(data(to.tryReceive())).toBe('behind')
    expect(to.stats()).toMatchObject({ used: 0, sent: 3 })
  })

  test('receiveMany gives those before it first', async () => {
    const from = make()
    const to = make(from.ticket)
    from.trySend('before')
    from.trySend(large)
    expect(await withoutDescriptors(() => to.receiveMany())).toEqual(['before'])
    expect((await to.receive()).equals(large)).toBe(true)
  })

  test("a 'message' listener gets it later", async () => {
    let left = 3
    const to = withNative(handle => {
      const part = handle.part
      handle.part = (...args) => left-- > 0 ? -24 : part.apply(handle, args)
    })
    const errors = []
    to.on('error', error => errors.push(error.code))
    to.trySend(large)
    to.trySend('behind')
    const found = []
    await new Promise(resolve => to.on('message', message => found.push(message) === 2 && resolve()))
    expect(errors).toEqual(['EMFILE', 'EMFILE', 'EMFILE'])
    expect([found[0].equals(large), found[1]]).toEqual([true, 'behind'])
  })
})

test.each([false, true])('a large message whose file is gone is an error once (ack: %s)', async ack => {
  const from = make({ ack })
  const to = make(from.ticket)
  from.trySend(Buffer.alloc(2 << 20))
  const id = /:([0-9a-f]{16})[0-9a-f]{16}$/.exec(from.ticket)[1]
  const parts = fs.readdirSync('/dev/shm').filter(name => name.includes(`${id}.part-`))
  expect(parts).toHaveLength(1)
  fs.rmSync(`/dev/shm/${parts[0]}`)
  from.trySend('behind')
  expect((await failure(() => to.receive())).code).toBe('ENOENT')
  const behind = await to.receive()
  expect(ack ? behind.data : behind).toBe('behind')
  if (ack) behind.ack()
  expect(to.stats().used).toBe(0)
})

describe('a codec that uses the queue while it decodes', () => {
  test('receives none of what is being received: nothing comes twice', () => {
    const seen = []
    const queue = make({ codec: jsonCodec(() => seen.push(queue.tryReceive(), queue.drain(() => {}))) })
    for (let n = 1; n <= 3; n++) queue.trySend(n)
    const found = [queue.tryReceive(), queue.tryReceive(), queue.tryReceive(), queue.tryReceive()]
    expect(found).toEqual([1, 2, 3, undefined])
    expect(seen).toEqual([undefined, 0, undefined, 0, undefined, 0])
    expect(queue.stats()).toMatchObject({ sent: 3, received: 3 })
  })

  test('and does not wait there for ever', async () => {
    let inner
    const queue = make({ codec: jsonCodec(value => { if (value === 1) inner = [queue.receive(), queue.receiveMany()] }) })
    await queue.sendMany([1, 2, 3])
    expect(() => make(queue.ticket, { codec: jsonCodec(() => {}) }).close()).not.toThrow()
    expect(await queue.receive()).toBe(1)
    expect(await Promise.all(inner)).toEqual([2, [3]])
  })

  test('receiveSync cannot wait there', () => {
    const queue = make({ codec: jsonCodec(() => queue.receiveSync()) })
    queue.trySend(1)
    expect(() => queue.tryReceive()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  })

  test.each([
    ['tryReceive', queue => queue.tryReceive()],
    ['receiveSync', queue => queue.receiveSync()],
    ['receive', queue => queue.receive()],
    ['receiveMany', async queue => (await queue.receiveMany())[0]]
  ])('closes it: %s gives what it decoded, the others get the rest', async (_, way) => {
    const one = make({ codec: jsonCodec(() => one.close()) })
    const two = make(one.ticket, { codec: jsonCodec(() => {}) })
    await two.sendMany([1, 2, 3])
    expect(await way(one)).toBe(1)
    expect(await two.receiveMany()).toEqual([2, 3])
  })
})

test('a thread that blocks in receiveSync keeps no messages from an idle one', async () => {
  const queue = make()
  const worker = new Worker(`
    const { Queue } = require(${JSON.stringify(require.resolve('..'))})
    const { parentPort, workerData } = require('node:worker_threads')
    const queue = new Queue(workerData.ticket)
    parentPort.postMessage(queue.receiveSync())
    Atomics.wait(workerData.word, 0, 0)
    queue.close()`, { eval: true, workerData: { ticket: queue.ticket, word: new Int32Array(new SharedArrayBuffer(4)) } })
  const first = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  // As one record, which it fetches whole.
  await queue.sendMany(['a', 'b', 'c'])
  expect(await first).toBe('a')
  expect(await queue.receiveMany()).toEqual(['b', 'c'])
  await worker.terminate()
})

describe('drain of a queue with acknowledgement', () => {
  test('acknowledges what its callback returned for', () => {
    const queue = make({ ack: true })
    const other = make(queue.ticket)
    for (const text of ['a', 'b', 'c']) queue.trySend(text)
    const seen = []
    expect(queue.drain(view => seen.push(view.toString()), { max: 2 })).toBe(2)
    queue.close()
    const left = other.tryReceive()
    expect([seen, left.data, left.ack(), other.tryReceive()]).toEqual([['a', 'b'], 'c', true, undefined])
  })

  test('not the message that it threw for: another receiver gets that', () => {
    const queue = make({ ack: true })
    const other = make(queue.ticket)
    for (const text of ['a', 'b', 'c']) queue.trySend(text)
    expect(() => queue.drain(view => { if (view.toString() === 'b') throw new Error('worker failed') })).toThrow('worker failed')
    const [again, behind] = [other.tryReceive(), other.tryReceive()]
    expect([again.data, again.redelivered, again.ack()]).toEqual(['b', true, true])
    expect([behind.data, behind.ack(), other.tryReceive()]).toEqual(['c', true, undefined])
    expect(other.stats().used).toBe(0)
  })

  test('nor the one that it closed the queue in', () => {
    const queue = make({ ack: true })
    const other = make(queue.ticket)
    for (const text of ['a', 'b', 'c']) queue.trySend(text)
    expect(queue.drain(view => { if (view.toString() === 'b') queue.close() })).toBe(2)
    expect([other.tryReceive().data, other.tryReceive().data, other.tryReceive()]).toEqual(['b', 'c', undefined])
  })

  test('says so when an acknowledgement fails', () => {
    const queue = withNative(handle => { handle.acker = () => () => -100_001 }, { ack: true })
    queue.trySend('a')
    expect(() => queue.drain(() => {})).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_DAMAGED' }))
  })
})

test('memory of the queue that the callback of drain transfers away is there again: nothing is lost', () => {
  const queue = make()
  for (const text of ['a', 'b', 'c']) queue.trySend(text)
  const seen = []
  const away = view => {
    seen.push(view.toString())
    if (seen.length % 2 === 1) moved(view.subarray().buffer)
  }
  expect(queue.drain(away)).toBe(3)
  for (const text of ['d', 'e', 'f']) queue.trySend(text)
  expect(queue.drain(away)).toBe(3)
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

/** Node 20 cannot do it in the language, but by a clone. */
function moved (memory) {
  return typeof memory.transfer === 'function' ? memory.transfer() : structuredClone(memory, { transfer: [memory] })
}
