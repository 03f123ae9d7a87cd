'use strict'

const { Queue } = require('..')
const { remove } = require('../lib/shared/segments')

const open = []
const make = (...args) => {
  const queue = new Queue(...args)
  open.push(queue)
  return queue
}
afterEach(() => open.splice(0).forEach(queue => queue.close()))

const unique = what => `${what} ${process.pid} ${Math.random()}`

describe('sending and receiving', () => {
  test('bytes, strings and values come out as they went in, in order', async () => {
    const queue = make()
    const values = ['text with ü', '', Buffer.from([1, 2, 3]), { a: [1, null, 'x'] }, 42, true, null, Buffer.alloc(0)]
    for (const value of values) await queue.send(value)
    for (const value of values) expect(await queue.receive()).toEqual(value)
    expect(queue.tryReceive()).toBeUndefined()
  })

  test('views and array buffers are bytes', async () => {
    const queue = make()
    await queue.sendMany([new Uint16Array([1, 2]), new DataView(new ArrayBuffer(3)), new Uint8Array([9]).buffer])
    const [first, second, third] = await queue.receiveMany()
    expect([first.length, second.length, [...third]]).toEqual([4, 3, [9]])
    expect(Buffer.isBuffer(first)).toBe(true)
  })

  test('two handles of one name, and one by ticket, share a queue', async () => {
    const name = unique('shared')
    const [one, two] = [make(name), make(name)]
    const three = make(JSON.parse(JSON.stringify({ jobs: one })).jobs)
    await one.send('a')
    expect(await two.receive()).toBe('a')
    await two.send('b')
    expect(await three.receive()).toBe('b')
    expect(one.name).toBe(name)
    expect(three.ticket).toBe(two.ticket)
  })

  test('batches keep their order, whatever the sizes', async () => {
    const queue = make({ capacity: 65536 })
    const sent = Array.from({ length: 5000 }, (_, i) => Buffer.alloc(i % 700, i))
    const sending = queue.sendMany(sent)
    const found = []
    while (found.length < sent.length) found.push(...await queue.receiveMany(100))
    await sending
    expect(found.length).toBe(sent.length)
    found.forEach((bytes, i) => { if (!bytes.equals(sent[i])) throw new Error(`message ${i} differs`) })
  })

  test('a message far larger than the queue arrives', async () => {
    const queue = make({ capacity: 4096 })
    const large = Buffer.alloc(3_000_000)
    large.writeUInt32BE(0xdeadbeef, 2_999_996)
    await queue.send(large)
    await queue.send('x'.repeat(100_000))
    await queue.sendMany(['small', large, 'last'])
    const received = await queue.receive()
    expect(received.equals(large)).toBe(true)
    expect(await queue.receive()).toHaveLength(100_000)
    expect(await queue.receive()).toBe('small')
    expect((await queue.receive()).equals(large)).toBe(true)
    expect(await queue.receive()).toBe('last')
    received[0] = 1 // Memory of our own.
  })

  test('what is received does not change when the queue goes on', async () => {
    const queue = make({ capacity: 4096 })
    const kept = []
    for (let i = 0; i < 300; i++) {
      await queue.send(Buffer.alloc(50, i))
      kept.push(await queue.receive())
    }
    kept.forEach((bytes, i) => expect(bytes.equals(Buffer.alloc(50, i))).toBe(true))
  })

  test('receivers wait, in the order they came', async () => {
    const queue = make()
    const waiting = [queue.receive(), queue.receive(), queue.receiveMany()]
    setImmediate(() => queue.sendMany(['a', 'b', 'c', 'd']))
    expect(await Promise.all(waiting)).toEqual(['a', 'b', ['c', 'd']])
  })

  test('for await ends when the queue is closed', async () => {
    const queue = make()
    const found = []
    await queue.sendMany([1, 2, 3])
    for await (const value of queue) {
      found.push(value)
      if (found.length === 3) setImmediate(() => queue.close())
    }
    expect(found).toEqual([1, 2, 3])
  })

  test("'message' listeners get everything until they are removed", async () => {
    const queue = make()
    const found = []
    const all = new Promise(resolve => queue.on('message', message => found.push(message) === 2500 && resolve()))
    await queue.sendMany(Array.from({ length: 2500 }, (_, i) => i))
    await all
    expect(found).toEqual(Array.from({ length: 2500 }, (_, i) => i))
    queue.removeAllListeners('message')
    await queue.send('left')
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(queue.tryReceive()).toBe('left')
  })

  test('what one receiver does not take at once, another gets', async () => {
    const name = unique('give back')
    const [one, two] = [make(name), make(name)]
    await one.sendMany(['a', 'b', 'c'])
    expect(await one.receive()).toBe('a')
    await new Promise(resolve => setImmediate(resolve))
    expect(await two.receive()).toBe('b')
    await new Promise(resolve => setImmediate(resolve))
    expect(await one.receive()).toBe('c')
  })
})

describe('room', () => {
  test('trySend says that there is none, send waits for it', async () => {
    const queue = make({ capacity: 512 })
    let count = 0
    while (queue.trySend(Buffer.alloc(40))) count++
    expect(count).toBeGreaterThan(2)
    let sent = false
    const sending = queue.send('late').then(() => { sent = true })
    expect(queue.trySend('too early')).toBe(false)
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(sent).toBe(false)
    for (let i = 0; i < count; i++) expect(await queue.receive()).toHaveLength(40)
    await sending
    expect(await queue.receive()).toBe('late')
  })

  test('sendSync gives up after its timeout, receiveSync too', () => {
    const queue = make({ capacity: 512 })
    while (queue.trySend(Buffer.alloc(40)));
    expect(queue.sendSync(Buffer.alloc(40), { timeout: 20 })).toBe(false)
    expect(queue.receiveSync()).toHaveLength(40)
    queue.drain(() => {})
    expect(queue.receiveSync({ timeout: 20 })).toBeUndefined()
    expect(queue.sendSync('x')).toBe(true)
    expect(queue.receiveSync({ timeout: 0 })).toBe('x')
  })

  test('a waiting call is aborted by its signal', async () => {
    const queue = make({ capacity: 512 })
    const controller = new AbortController()
    const receiving = queue.receive({ signal: controller.signal })
    controller.abort('reason')
    await expect(receiving).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'reason' })
    await expect(queue.send(1, { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
    await queue.send('still works')
    expect(await queue.receive()).toBe('still works')
  })
})

describe('acknowledgement', () => {
  test('a released message comes again, an acknowledged one does not', async () => {
    const queue = make({ ack: true })
    await queue.sendMany(['a', 'b'])
    const [a, b] = [await queue.receive(), await queue.receive()]
    expect([a.data, a.redelivered, b.data]).toEqual(['a', false, 'b'])
    expect(queue.ack(b)).toBe(true)
    expect(b.ack()).toBe(false)
    expect(a.release()).toBe(true)
    expect(a.ack()).toBe(false)
    const again = await queue.receive()
    expect([again.data, again.redelivered]).toEqual(['a', true])
    again.ack()
    expect(queue.tryReceive()).toBeUndefined()
    expect(queue.stats().used).toBe(0)
  })

  test('each of many is acknowledged as it comes', async () => {
    const name = unique('ack')
    const [one, two] = [make(name, { ack: true }), make(name)]
    await one.sendMany(Array.from({ length: 500 }, (_, i) => i))
    for (let i = 0; i < 500; i++) {
      const message = await two.receive()
      expect([message.data, message.ack()]).toEqual([i, true])
    }
    two.close()
    expect(one.tryReceive()).toBeUndefined()
    expect(one.stats().used).toBe(0)
  })

  test('closing returns what was not acknowledged', async () => {
    const name = unique('ack')
    const [one, two] = [make(name, { ack: true }), make(name)]
    await one.sendMany(['a', 'b'])
    const message = await two.receive()
    two.close()
    expect(message.ack()).toBe(false)
    expect([(await one.receive()).data, (await one.receive()).data].sort()).toEqual(['a', 'b'])
    expect(() => one.ack({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })

  test('must be what the queue was created with', () => {
    const name = unique('ack')
    make(name, { ack: true })
    expect(() => make(name, { ack: false })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})

describe('drain', () => {
  test('shows messages in place', async () => {
    const queue = make()
    await queue.sendMany([Buffer.from('0123456789'), 'text', { json: true }, Buffer.alloc(2_000_000, 7)])
    const seen = []
    let kept
    const count = queue.drain(view => {
      kept = view
      seen.push(view.length > 20 ? view.getUint8(view.length - 1) : view.length === 10 ? view.getUint16(2) : view.value())
    })
    expect(count).toBe(4)
    expect(seen).toEqual([0x3233, 'text', { json: true }, 7])
    expect(kept.length).toBe(0)
    expect(() => kept.subarray()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
    expect(queue.stats().used).toBe(0)
  })

  test('never reaches beside its message', async () => {
    const queue = make()
    await queue.sendMany([Buffer.alloc(5), Buffer.alloc(5)])
    queue.drain(view => {
      expect(() => view.getUint32(2)).toThrow(expect.objectContaining({ code: 'ERR_BUFFER_OUT_OF_BOUNDS' }))
      expect(() => view.getUint8(-1)).toThrow(expect.objectContaining({ code: 'ERR_BUFFER_OUT_OF_BOUNDS' }))
      expect(() => view.subarray(0, 6)).toThrow(expect.objectContaining({ code: 'ERR_BUFFER_OUT_OF_BOUNDS' }))
    })
  })

  test('a callback that throws has received its message; the others stay', async () => {
    const queue = make()
    await queue.sendMany(['a', 'b', 'c'])
    expect(() => queue.drain(view => { if (view.toString() === 'b') throw new Error('stop') })).toThrow('stop')
    expect(await queue.receive()).toBe('c')
    await queue.sendMany([1, 2, 3])
    expect(queue.drain(() => {}, { max: 0 })).toBe(0)
  })
})

describe('codecs', () => {
  test('v8 keeps what JSON cannot', async () => {
    const queue = make({ codec: 'v8' })
    const value = { date: new Date(0), map: new Map([[1, 'x']]), big: 12n, bytes: Buffer.from('a') }
    await queue.send(value)
    const found = await queue.receive()
    expect(found.map.get(1)).toBe('x')
    expect(found.big).toBe(12n)
    expect(found.date.getTime()).toBe(0)
  })

  test('one of your own', async () => {
    const codec = { encode: value => Buffer.from(`<${value.x}>`), decode: bytes => ({ x: bytes.toString().slice(1, -1) }) }
    const name = unique('codec')
    const queue = make(name, { codec })
    await queue.send({ x: 'y' })
    expect(await queue.receive()).toEqual({ x: 'y' })
    await queue.send({ x: 'y' })
    await expect(make(name).receive()).rejects.toMatchObject({ code: 'ERR_QUEUE_CODEC' })
    expect(() => make({ codec: { encode () {} } })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    expect(() => make({ codec: 'xml' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  test('who opens without a codec uses the creator\'s', async () => {
    const name = unique('codec')
    make(name, { codec: 'msgpack' })
    const [sender, receiver] = [make(name), make(name)]
    await sender.send({ bytes: Buffer.from([1]) })
    expect(await receiver.receive()).toEqual({ bytes: Buffer.from([1]) })
  })

  test('what cannot be encoded is refused before anything is sent', async () => {
    const queue = make()
    await expect(queue.send(undefined)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    const circle = {}
    circle.circle = circle
    await expect(queue.send(circle)).rejects.toThrow(TypeError)
    expect(() => queue.trySend(() => {})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    expect(queue.tryReceive()).toBeUndefined()
  })
})

describe('the end', () => {
  test('what waits is rejected, what comes later too', async () => {
    const queue = make()
    const waiting = expect(queue.receive()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
    queue.close()
    queue.close()
    await waiting
    expect(queue.closed).toBe(true)
    await expect(queue.send(1)).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
    await expect(queue.receive()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
    expect(() => queue.stats()).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }))
    const { done } = await queue[Symbol.asyncIterator]().next()
    expect(done).toBe(true)
  })

  test('an anonymous queue is gone with its last user', () => {
    const queue = make()
    const { ticket } = queue
    queue.close()
    expect(() => make(ticket)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(() => make(unique('none'), { create: false })).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})

test('arguments are checked', async () => {
  const code = code => expect.objectContaining({ code })
  expect(() => make('')).toThrow(code('ERR_INVALID_ARG_VALUE'))
  expect(() => make(7)).toThrow(code('ERR_INVALID_ARG_TYPE'))
  expect(() => make({ capacity: 100 })).toThrow(code('ERR_OUT_OF_RANGE'))
  for (const spin of [-1, 10_000_001, 1.5]) {
    expect(() => make().sendSync('', { spin })).toThrow(code('ERR_OUT_OF_RANGE'))
    expect(() => make().receiveSync({ spin })).toThrow(code('ERR_OUT_OF_RANGE'))
  }
  for (const spin of [-1, 1001, 1.5]) expect(() => make({ spin })).toThrow(code('ERR_OUT_OF_RANGE'))
  expect(() => make({ spin: '50' })).toThrow(code('ERR_INVALID_ARG_TYPE'))
  expect(() => make({ capacity: 2 ** 37 })).toThrow(code('ERR_OUT_OF_RANGE'))
  expect(() => make({ capacity: 2 ** 36 })).toThrow(code('ENOSPC'))
  expect(() => make({ path: 5 })).toThrow(code('ERR_INVALID_ARG_TYPE'))
  expect(() => make('name', { path: '/x' })).toThrow(code('ERR_INVALID_ARG_VALUE'))
  expect(() => make({ path: '' })).toThrow(code('ERR_INVALID_ARG_VALUE'))
  expect(() => make({ ack: 1 })).toThrow(code('ERR_INVALID_ARG_TYPE'))
  for (const option of ['ack', 'capacity', 'codec', 'create', 'path', 'persistent', 'spin']) {
    for (const value of option === 'path' ? [null, 0, false] : [null, '']) {
      const expected = option === 'codec' && value === '' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE'
      expect(() => make({ [option]: value })).toThrow(code(expected))
    }
    make({ [option]: undefined }).close()
  }
  expect(() => make('name', null)).toThrow(code('ERR_INVALID_ARG_TYPE'))
  for (const name of ['a\ud800', '\udfffb', '\udc00\ud800']) expect(() => make(name)).toThrow(code('ERR_INVALID_ARG_VALUE'))
  const queue = make()
  await expect(queue.receiveMany(0)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  await expect(queue.receive({ signal: 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  expect(() => queue.receiveSync({ timeout: -1 })).toThrow(code('ERR_OUT_OF_RANGE'))
  expect(() => queue.drain(5)).toThrow(code('ERR_INVALID_ARG_TYPE'))
})

describe('queues that stay', () => {
  test('with a name and persistent: true', async () => {
    const name = unique('persistent')
    const first = make(name, { persistent: true, capacity: 4096 })
    await first.send('kept')
    first.close()
    const second = make(name, { create: false })
    expect(await second.receive()).toBe('kept')
    second.close()
    expect(remove(name)).toBe(true)
    expect(() => make(name, { create: false })).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})

test('looking before blocking ends with the timeout', () => {
  const queue = make({ capacity: 512 })
  const spin = 10_000_000 // ten seconds
  const begin = performance.now()
  expect(queue.receiveSync({ timeout: 20, spin })).toBeUndefined()
  while (queue.trySend('x'.repeat(60)));
  expect(queue.sendSync('x'.repeat(60), { timeout: 20, spin })).toBe(false)
  expect(performance.now() - begin).toBeGreaterThanOrEqual(40)
  expect(performance.now() - begin).toBeLessThan(spin / 1000)
  expect(queue.receiveSync({ spin })).toBe('x'.repeat(60))
  expect(queue.sendSync('y', { spin })).toBe(true)
})
