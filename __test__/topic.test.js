'use strict'

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const { Topic } = require('..')
const { onlyIf } = require('./fixtures/only-if')

const open = []
const make = (...args) => {
  const topic = new Topic(...args)
  open.push(topic)
  return topic
}
const subscribe = (topic, options) => {
  const subscription = topic.subscribe(options)
  open.push(subscription)
  return subscription
}
afterEach(() => open.splice(0).forEach(one => one.close()))

/** Others' files come and go. */
function isFile (path, content) {
  try {
    return fs.readFileSync(path).equals(content)
  } catch {
    return false
  }
}

const onLinux = onlyIf(process.platform === 'linux', 'it is about Linux')
const unique = what => `${what} ${process.pid} ${Math.random()}`

describe('publishing and receiving', () => {
  test('every subscriber gets everything from its subscription on, in order', async () => {
    const topic = make()
    await topic.publish('before')
    const [one, two] = [subscribe(topic), subscribe(topic, { lossy: true })]
    const values = ['text with ü', '', Buffer.from([1, 2, 3]), { a: [1, null, 'x'] }, 42, true, null, Buffer.alloc(0)]
    for (const value of values) await topic.publish(value)
    const late = subscribe(topic)
    await topic.publishMany(['a', 'b'])
    expect(topic.tryPublish('c')).toBe(true)
    expect(topic.publishSync('d')).toBe(true)
    for (const subscription of [one, two]) {
      for (const value of values) expect(await subscription.receive()).toEqual(value)
      expect(await subscription.receiveMany()).toEqual(['a', 'b', 'c', 'd'])
      expect(subscription.tryReceive()).toBeUndefined()
    }
    expect([late.receiveSync(), late.receiveSync(), late.tryReceive(), await late.receive()]).toEqual(['a', 'b', 'c', 'd'])
    expect([one.lossy, two.lossy, one.missed, two.missed]).toEqual([false, true, 0, 0])
    expect(topic.stats()).toEqual({ capacity: 4 * 1024 * 1024, used: 0, sent: 13, received: 28, subscribers: 3, lossy: 1 })
  })

  test('handles of one name or ticket share a topic and its codec', async () => {
    const name = unique('shared')
    const one = make(name, { codec: 'v8' })
    const [two, three] = [make(name), make(one.ticket)]
    expect([one.name, two.ticket, three.name]).toEqual([name, one.ticket, name])
    const subscription = subscribe(two)
    await three.publish(new Map([[1, 2n]]))
    expect(await subscription.receive()).toEqual(new Map([[1, 2n]]))
    expect(one.toJSON()).toBe(one.ticket)
  })

  test('nobody subscribes: everything is accepted and gone', async () => {
    const topic = make({ capacity: 4096 })
    for (let i = 0; i < 1000; i++) expect(topic.tryPublish(`message ${i}`)).toBe(true)
    await topic.publish(Buffer.alloc(100_000))
    const subscription = subscribe(topic)
    expect(subscription.tryReceive()).toBeUndefined()
    await topic.publish('first')
    expect(await subscription.receive()).toBe('first')
  })

  test('messages larger than the topic reach all', async () => {
    const topic = make({ capacity: 4096 })
    const subscribers = [subscribe(topic), subscribe(topic), subscribe(topic, { lossy: true })]
    const large = Buffer.alloc(3_000_000)
    large.writeUInt32BE(0xdeadbeef, 2_999_996)
    await topic.publishMany(['small', large, 'x'.repeat(100_000), 'last'])
    for (const subscription of subscribers) {
      const got = [await subscription.receive(), await subscription.receive(), await subscription.receive(), await subscription.receive()]
      expect([got[0], got[1].equals(large), got[2].length, got[3]]).toEqual(['small', true, 100_000, 'last'])
      got[1][0] = 1 // Memory of its own.
    }
  })

  onLinux('a large message is its receiver\'s own: writing to its file later changes nothing', () => {
    const topic = make({ capacity: 4096 })
    const subscription = subscribe(topic)
    const large = randomBytes(1_000_003)
    topic.publishSync(large)
    const got = subscription.receiveSync({ timeout: 5000 })
    const names = fs.readdirSync('/dev/shm').filter(name => name.startsWith('interproc-q.') && name.includes('part-'))
    const file = names.map(name => `/dev/shm/${name}`).find(path => isFile(path, large))
    fs.writeFileSync(file, Buffer.alloc(large.length), { flag: 'r+' })
    expect(got.equals(large)).toBe(true)
  })

  test('what is received does not change when the topic goes on', async () => {
    const topic = make({ capacity: 4096 })
    const subscription = subscribe(topic)
    const kept = []
    for (let i = 0; i < 300; i++) {
      await topic.publish(Buffer.alloc(50, i))
      kept.push(await subscription.receive())
    }
    kept.forEach((bytes, i) => expect(bytes.equals(Buffer.alloc(50, i))).toBe(true))
  })

  test('drain shows all there is', async () => {
    const topic = make({ capacity: 4096 })
    for (const lossy of [false, true]) {
      const subscription = subscribe(topic, { lossy })
      await topic.publishMany([Buffer.from([1, 2, 3, 4]), 'text', { a: 1 }, Buffer.alloc(10_000, 7)])
      await topic.publish('left')
      const seen = []
      let kept
      expect(subscription.drain(view => {
        kept = view
        seen.push(view.length === 4 && seen.length === 0 ? view.getUint32(0) : view.value())
      }, { max: 4 })).toBe(4)
      expect(seen).toEqual([0x01020304, 'text', { a: 1 }, Buffer.alloc(10_000, 7)])
      expect(() => kept.subarray()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
      expect(subscription.tryReceive()).toBe('left')
      expect(subscription.drain(() => {})).toBe(0)
      subscription.close()
    }
  })

  test('a message that cannot be decoded throws once; the others come', async () => {
    const name = unique('codec')
    const topic = make(name, { codec: { encode: String, decode: bytes => { throw new Error(`no ${bytes}`) } } })
    const subscription = subscribe(topic)
    await topic.publishMany(['a', 1, 'b'])
    expect(await subscription.receiveMany()).toEqual(['a'])
    await expect(subscription.receiveMany()).rejects.toThrow('no 1')
    expect(await subscription.receive()).toBe('b')
  })
})

describe('reliable and lossy', () => {
  test('a reliable subscriber holds the publisher back until it reads', async () => {
    const topic = make({ capacity: 4096 })
    const subscription = subscribe(topic)
    const sent = []
    while (topic.tryPublish(sent.length)) sent.push(sent.length)
    expect(topic.publishSync('late', { timeout: 20 })).toBe(false)
    await expect(topic.publish('late', { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const waiting = topic.publish('waited')
    expect(topic.tryPublish('no')).toBe(false)
    const got = []
    while (got.length < sent.length) got.push(...await subscription.receiveMany())
    await waiting
    expect(got).toEqual(sent)
    expect(await subscription.receive()).toBe('waited')
    expect(subscription.missed).toBe(0)
  })

  test('closing it lets the publisher go on', async () => {
    const topic = make({ capacity: 4096 })
    const subscription = subscribe(topic)
    while (topic.tryPublish('x'));
    const waiting = topic.publishMany(Array(500).fill('y'))
    subscription.close()
    await waiting
  })

  test('a lossy subscriber gets the newest, and counts the others exactly', async () => {
    const topic = make({ capacity: 4096 })
    const subscription = subscribe(topic, { lossy: true })
    let published = 0
    let received = 0
    let last = -1
    for (const round of [3, 500, 10, 1, 2000, 30]) {
      if (round % 2 === 0) await topic.publishMany(Array.from({ length: round }, () => published++))
      else for (let i = 0; i < round; i++) await topic.publish(published++)
      for (let message; (message = subscription.tryReceive()) !== undefined;) {
        expect(message).toBeGreaterThan(last)
        last = message
        received++
      }
      expect(last).toBe(published - 1)
      expect(received + subscription.missed).toBe(published)
    }
    expect(subscription.missed).toBeGreaterThan(2000)
    const { missed } = subscription
    subscription.close()
    expect(subscription.missed).toBe(missed)
  })

  test('large messages are lost to a lossy subscriber as others are', async () => {
    const topic = make({ capacity: 512 })
    const [lossy, reliable] = [subscribe(topic, { lossy: true }), subscribe(topic)]
    for (let i = 0; i < 40; i++) {
      await topic.publish(Buffer.alloc(5000, i))
      expect((await reliable.receive())[0]).toBe(i)
    }
    let count = 0
    for (let message; (message = lossy.tryReceive()) !== undefined; count++) expect(message).toHaveLength(5000)
    expect(count).toBeGreaterThan(0)
    expect(count + lossy.missed).toBe(40)
  })
})

describe('waiting', () => {
  onLinux('publishSync looks for room without sleeping as long as it is told to', () => {
    const topic = make({ capacity: 512 })
    subscribe(topic)
    while (topic.tryPublish('x'));
    const asleep = () => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(fs.readFileSync('/proc/thread-self/status', 'utf8'))?.[1])
    const sleeps = options => {
      const before = asleep()
      expect(topic.publishSync('y', options)).toBe(false)
      return asleep() - before
    }
    // A page that is not there yet may make it sleep once, too.
    const least = options => Math.min(...[1, 2, 3].map(() => sleeps(options)))
    expect(least({ timeout: 200 })).toBeGreaterThanOrEqual(1)
    expect(least({ timeout: 200, spin: 200_000 })).toBe(0)
    expect(() => topic.publishSync('y', { spin: -1 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  })

  test('receive waits for a message, in the order of the calls', async () => {
    const topic = make()
    const subscription = subscribe(topic)
    const waiting = [subscription.receive(), subscription.receive(), subscription.receiveMany()]
    setTimeout(() => topic.publishMany(['a', 'b', 'c', 'd']), 20)
    expect(await Promise.all(waiting)).toEqual(['a', 'b', ['c', 'd']])
  })

  test('for await ends with the subscription', async () => {
    const topic = make()
    const subscription = subscribe(topic)
    const seen = []
    setTimeout(() => topic.publishMany(['a', 'b']), 10)
    for await (const message of subscription) if (seen.push(message) === 2) setTimeout(() => subscription.close(), 10)
    expect(seen).toEqual(['a', 'b'])
  })

  test("'message' listeners", async () => {
    const topic = make()
    const subscription = subscribe(topic)
    const seen = []
    const done = new Promise(resolve => subscription.on('message', message => {
      seen.push(message)
      if (message === 'end') resolve()
    }))
    for (let i = 0; i < 3000; i++) await topic.publish(i)
    await topic.publish('end')
    await done
    expect(seen).toEqual([...Array(3000).keys(), 'end'])
  })

  test('a signal ends it', async () => {
    const subscription = subscribe(make())
    const controller = new AbortController()
    const waiting = subscription.receive({ signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toMatchObject({ code: 'ABORT_ERR', cause: new Error('enough') })
    expect(subscription.receiveSync({ timeout: 5 })).toBeUndefined()
  })

  test('closing the topic while it publishes rejects what waits, and leaves subscriptions what came', async () => {
    const topic = make({ capacity: 4096 })
    const subscription = subscribe(topic)
    const publishing = topic.publishMany(Array.from({ length: 5000 }, (_, i) => i))
    const closed = new Promise(resolve => topic.on('close', resolve))
    topic.close()
    await expect(publishing).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
    await closed
    await expect(topic.publish('x')).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
    expect(() => topic.subscribe()).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }))
    expect(() => topic.stats()).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }))
    const got = []
    for (let message; (message = subscription.tryReceive()) !== undefined;) got.push(message)
    expect(got.length).toBeGreaterThan(10)
    expect(got).toEqual(got.map((_, i) => i))
    subscription.close()
    subscription.close()
    expect(() => subscription.tryReceive()).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }))
    await expect(subscription.receive()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
  })
})

describe('options', () => {
  test('bad ones are refused at the call', async () => {
    const code = (call, code) => expect(call).toThrow(expect.objectContaining({ code }))
    code(() => new Topic(5), 'ERR_INVALID_ARG_TYPE')
    code(() => new Topic(''), 'ERR_INVALID_ARG_VALUE')
    code(() => new Topic('x', { capacity: 1 }), 'ERR_OUT_OF_RANGE')
    code(() => new Topic('x', { codec: 'xml' }), 'ERR_INVALID_ARG_VALUE')
    code(() => new Topic(unique('none'), { create: false }), 'ENOENT')
    code(() => new Topic({ create: false }), 'ERR_INVALID_ARG_VALUE')
    for (const option of ['ack', 'path', 'persistent', 'spin']) {
      for (const value of [true, false, '', 0, null]) code(() => new Topic({ [option]: value }), 'ERR_INVALID_ARG_VALUE')
      make({ [option]: undefined }).close()
    }
    for (const option of ['capacity', 'create', 'codec']) code(() => new Topic({ [option]: null }), 'ERR_INVALID_ARG_TYPE')
    code(() => new Topic('x', null), 'ERR_INVALID_ARG_TYPE')
    for (const name of ['a\ud800', '\udfffb']) code(() => new Topic(name), 'ERR_INVALID_ARG_VALUE')
    const topic = make()
    code(() => topic.subscribe(5), 'ERR_INVALID_ARG_TYPE')
    code(() => topic.subscribe({ lossy: 1 }), 'ERR_INVALID_ARG_TYPE')
    await expect(topic.publish(undefined)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    const subscription = subscribe(topic)
    code(() => subscription.drain(), 'ERR_INVALID_ARG_TYPE')
    code(() => subscription.receiveSync({ timeout: -1 }), 'ERR_OUT_OF_RANGE')
    await expect(subscription.receiveMany(0)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  test('a queue is no topic', () => {
    const { Queue } = require('..')
    const name = unique('kind')
    const queue = new Queue(name)
    open.push(queue)
    expect(() => new Topic(name)).toThrow(expect.objectContaining({ code: 'ERR_SHARED_KIND' }))
    expect(() => new Topic(queue.ticket)).toThrow(expect.objectContaining({ code: 'ERR_SHARED_KIND' }))
  })

  test('`using` closes both', () => {
    const topic = make()
    const subscription = subscribe(topic)
    const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose')
    subscription[dispose]()
    expect([subscription.closed, topic.closed, topic.stats().subscribers]).toEqual([true, false, 0])
    topic[dispose]()
    expect(topic.closed).toBe(true)
  })

  test('512 handles, not one more, and they can be given back', () => {
    const topic = make({ capacity: 512 })
    const subscriptions = Array.from({ length: 511 }, () => subscribe(topic))
    expect(() => topic.subscribe()).toThrow(expect.objectContaining({ code: 'ERR_SHARED_FULL' }))
    subscriptions[100].close()
    subscribe(topic)
    expect(topic.stats().subscribers).toBe(511)
  })
})
