'use strict'

// Queues between Node and Rust, in real processes.

const { Queue } = require('..')
const { rustExamples, runExample } = require('../scripts/examples')
const { killStorm } = require('./fixtures/kill-storm')
const { buildRustPeer, rustPeer } = require('./fixtures/rust-peer')

const open = []
const make = (...args) => {
  const queue = new Queue(...args)
  open.push(queue)
  return queue
}
beforeAll(buildRustPeer, 600_000)
afterEach(() => open.splice(0).forEach(queue => queue.close()))

/** What `Order::number` makes in tests/rust-peer/queues.rs. */
function order (id) {
  return {
    id,
    balance: -id * 1_000_000_007 || 0,
    price: id + 0.5,
    paid: id % 2 === 0,
    note: id % 3 === 0 ? `Grüße, ${id} 🎉` : null,
    items: Array.from({ length: id % 4 }, (_, n) => ({ name: `item ${n}`, count: 65_535 })),
    by_day: { mon: -1, tue: 300 },
    state: id % 2 === 0 ? 'open' : { sent: { by: 'post' } },
    pair: [7, 'seven']
  }
}

describe.each(['json', 'msgpack'])('%s', codec => {
  test('structs from Rust arrive as objects, in order', async () => {
    const queue = make({ capacity: 64 * 1024 })
    const { end } = rustPeer('produce', queue.ticket, codec, 500)
    for (let id = 0; id < 500; id++) expect(await queue.receive()).toEqual(order(id))
    expect(await end).toBe(0)
    expect(queue.tryReceive()).toBeUndefined()
  })

  test('objects from Node arrive as structs', async () => {
    const queue = make({ capacity: 64 * 1024, codec })
    const rust = rustPeer('consume', queue.ticket, 500)
    await queue.sendMany(Array.from({ length: 250 }, (_, id) => order(id)))
    for (let id = 250; id < 500; id++) await queue.send(order(id))
    expect(await rust.line()).toBe('500 orders')
    expect(await rust.end).toBe(0)
  })
})

test('a queue that Rust made by name, and one that holds both codecs', async () => {
  const name = `rust ${process.pid} ${Date.now()}`
  const rust = rustPeer('take', name)
  // Whoever comes first creates it.
  const queue = make(name)
  await queue.sendMany(['first', 'second', 'third'])
  expect(await rust.line()).toBe('first')
  expect(await queue.receive()).toBe('second')
  await rust.kill()
  expect(await queue.receive()).toBe('third')
  expect(queue.tryReceive()).toBeUndefined()

  const producers = ['json', 'msgpack'].map(codec => rustPeer('produce', queue.ticket, codec, 50))
  const ids = []
  for (let i = 0; i < 100; i++) ids.push((await queue.receive()).id)
  expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i >> 1))
  for (const { end } of producers) expect(await end).toBe(0)
})

test('bytes, texts and values go to Rust and come back', async () => {
  const [there, back] = [make(), make()]
  const { end } = rustPeer('echo', there.ticket, back.ticket)
  const values = [
    'text', '', 'Grüße 🎉\0\ufeff', Buffer.from([0, 255]), Buffer.alloc(0), { a: [1, -1, 1.5, null, true, { b: {} }] }, [], 0, -1,
    2 ** 53 - 1, -(2 ** 53) + 1, 1e300, -1.5e-300, true, false, null, 'x'.repeat(100_000), { 'ä key': 'ö' }
  ]
  for (const value of values) {
    await there.send(value)
    expect(await back.receive()).toEqual(value)
  }
  await there.send('end')
  expect(await end).toBe(0)
})

test('what only JavaScript can read is a clear error in Rust, and the next message comes', async () => {
  const queue = make({ codec: 'v8' })
  const rust = rustPeer('foreign', queue.ticket)
  await queue.send(new Map([[1, 2]]))
  await queue.send('after it')
  expect(await rust.line()).toMatch(/^the message is V8's serialization; send it with the codec 'json' or 'msgpack'.*\(\d+ bytes\)$/)
  expect(await rust.line()).toBe('after it')
  expect(await rust.end).toBe(0)
})

test('messages larger than the ring, both ways', async () => {
  const queue = make({ capacity: 4096 })
  const size = 3_000_000
  await queue.send(Buffer.alloc(size, 7))
  const rust = rustPeer('large', queue.ticket, size)
  expect(await rust.end).toBe(0)
  const answer = await queue.receive()
  expect(answer.equals(Buffer.alloc(size, 8))).toBe(true)
})

test('a Rust receiver that is killed loses no unacknowledged message', async () => {
  const queue = make({ ack: true })
  const rust = rustPeer('hold', queue.ticket)
  await queue.send('precious')
  expect(await rust.line()).toBe('precious false')
  const waiting = queue.receive()
  await rust.kill()
  const message = await waiting
  expect(message).toMatchObject({ data: 'precious', redelivered: true })
  // And back to Rust.
  message.release()
  const other = rustPeer('hold', queue.ticket)
  expect(await other.line()).toBe('precious true')
  other.child.stdin.end()
  expect(await other.end).toBe(0)
  const again = await queue.receive()
  expect(again).toMatchObject({ data: 'precious', redelivered: true })
  again.ack()
  expect(queue.stats().used).toBe(0)
})

test('Rust senders that are killed anywhere leave a queue without a gap', async () => {
  const queue = make({ capacity: 32 * 1024 })
  for (let round = 0; round < 5; round++) {
    const rust = rustPeer('flood', queue.ticket)
    let next = 0
    for (; next < 2000 * (round + 1); next++) expect(await queue.receive()).toBe(next)
    await rust.kill()
    // What it sent is there, in order, and nothing else.
    for (let value = queue.tryReceive(); value !== undefined; value = queue.tryReceive()) expect(value).toBe(next++)
    await queue.send('after its death')
    // Behind what it had claimed and not written: settled by whoever waits.
    expect(await queue.receive()).toBe('after its death')
  }
  expect(queue.stats().used).toBe(0)
})

test('receivers that are killed at random lose nothing that they did not acknowledge', async () => {
  const [there, back] = [make({ ack: true, capacity: 16_384 }), make({ capacity: 16_384 })]
  const { lost, sent } = await killStorm(there, back, 50, () => rustPeer('pass-on', there.ticket, back.ticket))
  expect(lost).toEqual([])
  expect(sent).toBeGreaterThan(50)
}, 120_000)

test.each(rustExamples)('examples/$name', async example => {
  await runExample(example)
}, 600_000)
