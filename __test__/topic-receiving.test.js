'use strict'

/** What goes wrong while messages of a subscription are received: nothing is lost by it, and nothing comes twice. */

const { BroadcastChannel, Topic } = require('..')
const native = require('../lib/native')
const { failure, withoutDescriptors } = require('./fixtures/descriptors')
const { jsonCodec } = require('./fixtures/json-codec')

const open = []
const make = (...args) => {
  const topic = new Topic(...args)
  const subscription = topic.subscribe()
  open.push(topic, subscription)
  return { topic, subscription }
}
afterEach(() => open.splice(0).forEach(endpoint => endpoint.close()))

describe('a codec that uses the subscription while it decodes', () => {
  test('receives none of what is being received: nothing comes twice', async () => {
    const inner = []
    const { topic, subscription } = make({
      codec: jsonCodec(value => {
        if (value === 3) topic.tryPublish(10)
        inner.push(subscription.tryReceive(), subscription.drain(() => {}))
      })
    })
    for (let n = 1; n <= 3; n++) topic.tryPublish(n)
    expect(await subscription.receiveMany()).toEqual([1, 2, 3])
    expect(inner).toEqual([undefined, 0, undefined, 0, undefined, 0])
    expect([subscription.tryReceive(), subscription.tryReceive()]).toEqual([10, undefined])
  })

  test('and does not wait there for ever', async () => {
    let inner
    const { topic, subscription } = make({
      codec: jsonCodec(value => { if (value === 1) inner = [subscription.receive(), subscription.receiveMany()] })
    })
    await topic.publishMany([1, 2, 3])
    expect(await subscription.receive()).toBe(1)
    expect(await Promise.all(inner)).toEqual([2, [3]])
  })

  test('receiveSync cannot wait there', () => {
    const { topic, subscription } = make({ codec: jsonCodec(() => subscription.receiveSync()) })
    topic.tryPublish(1)
    expect(() => subscription.tryReceive()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  })

  test('closes it: the call gives what it decoded', async () => {
    const { topic, subscription } = make({ codec: jsonCodec(() => subscription.close()) })
    const other = topic.subscribe()
    open.push(other)
    await topic.publishMany([1, 2])
    expect(await subscription.receiveMany()).toEqual([1])
    expect(subscription.closed).toBe(true)
    expect(topic.stats().subscribers).toBe(1)
  })
})

describe('drain', () => {
  test('whose callback closes the subscription gives the number of calls, as that of a queue', () => {
    const { topic, subscription } = make()
    topic.tryPublish('a')
    topic.tryPublish('b')
    expect(subscription.drain(() => subscription.close())).toBe(1)
    expect(() => subscription.drain(() => {})).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }))
  })

  test('whose callback receives the rest, and then more: every message comes once', () => {
    const { topic, subscription } = make()
    for (const text of ['a', 'b', 'c']) topic.tryPublish(text)
    const seen = []
    subscription.drain(view => {
      seen.push(view.toString())
      if (seen.length > 1) return
      seen.push(subscription.tryReceive(), subscription.tryReceive())
      topic.tryPublish('d')
      topic.tryPublish('e')
      seen.push(subscription.tryReceive())
    })
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
  })
})

describe('a large message while descriptors are out', () => {
  const large = Buffer.alloc(2 << 20, 7)
  const ways = {
    receive: subscription => subscription.receive(),
    tryReceive: subscription => subscription.tryReceive(),
    receiveMany: subscription => subscription.receiveMany(),
    receiveSync: subscription => subscription.receiveSync({ timeout: 1000 }),
    drain: subscription => subscription.drain(() => {})
  }

  test.each(Object.keys(ways))('%s fails, and the message stays, in its order', async way => {
    const { topic, subscription } = make()
    for (const body of ['before', large, 'behind']) topic.tryPublish(body)
    expect(withoutDescriptors(() => subscription.tryReceive())).toBe('before')
    for (let i = 0; i < 3; i++) {
      expect((await withoutDescriptors(() => failure(() => ways[way](subscription)))).code).toBe('EMFILE')
    }
    expect(subscription.tryReceive().equals(large)).toBe(true)
    expect([subscription.tryReceive(), subscription.tryReceive()]).toEqual(['behind', undefined])
    expect(topic.stats()).toMatchObject({ used: 0, received: 3 })
  })

  test('publishers wait for a reliable subscription that could not have it; a lossy one counts it as missed', () => {
    const topic = new Topic({ capacity: 4096 })
    const [reliable, lossy] = [topic.subscribe(), topic.subscribe({ lossy: true })]
    open.push(topic, reliable, lossy)
    topic.tryPublish(large)
    withoutDescriptors(() => [reliable, lossy].forEach(each => expect(() => each.tryReceive()).toThrow('EMFILE')))
    let sent = 0
    while (topic.tryPublish(Buffer.alloc(200))) sent++
    expect(sent).toBeLessThan(20)
    expect(reliable.tryReceive().equals(large)).toBe(true)
    reliable.drain(() => {})
    while (topic.tryPublish(Buffer.alloc(200))) sent++
    expect(reliable.drain(() => {})).toBeGreaterThan(0)
    const got = lossy.drain(() => {})
    expect(got + lossy.missed).toBe(sent + 1)
  })

  describe('is got later', () => {
    // A bell needs a descriptor, too, so none are really out here.
    let left
    let failing
    beforeEach(() => {
      const handle = native.openTopic({ capacity: 4096, codec: 0, channel: false }, () => {})
      const raw = Object.getPrototypeOf(handle)
      handle.close()
      const { fetcher } = raw
      failing = jest.spyOn(raw, 'fetcher').mockImplementation(function () {
        const fetch = fetcher.call(this)
        return (...args) => left-- > 0 ? -24 : fetch(...args)
      })
      left = 3
    })
    afterEach(() => failing.mockRestore())

    test("by a 'message' listener", async () => {
      const { topic, subscription } = make()
      const errors = []
      subscription.on('error', error => errors.push(error.code))
      topic.tryPublish(large)
      topic.tryPublish('behind')
      const found = []
      await new Promise(resolve => subscription.on('message', message => found.push(message) === 2 && resolve()))
      expect(errors).toEqual(['EMFILE', 'EMFILE', 'EMFILE'])
      expect([found[0].equals(large), found[1]]).toEqual([true, 'behind'])
    })

    test('by a channel', async () => {
      const name = `got later ${process.pid} ${Math.random()}`
      const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)]
      open.push(from, to)
      const found = []
      const all = new Promise(resolve => {
        to.onmessageerror = () => found.push('error')
        to.onmessage = ({ data }) => found.push(data.length ?? data) === 2 && resolve()
      })
      from.postMessage('x'.repeat(2 << 20))
      from.postMessage(1)
      await all
      expect(found).toEqual([2 << 20, 1])
    })
  })
})
