'use strict'

// Shared buffers, locks, maps and counters between Node and Rust, in real processes.

const { locks, Semaphore, SharedBuffer, SharedCounter, SharedMap, waitAsync, notify } = require('..')
const { buildRustPeer, rustPeer } = require('./fixtures/rust-peer')
const { randomName } = require('./fixtures/shared-support')

beforeAll(buildRustPeer, 600_000)

/** Ends with the test's own watchdog if it never comes. */
async function until (holds) {
  while (!await holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

describe('SharedBuffer', () => {
  test('made by Rust, opened by name, and a slice by its ticket', async () => {
    const name = randomName()
    const rust = rustPeer('create-buffer', name)
    const ticket = await rust.line()
    const buffer = SharedBuffer.open(name)
    expect(buffer.length).toBe(100)
    expect(buffer.toString('utf8', 0, 13)).toBe('from Rust: ü')
    const slice = SharedBuffer.open(ticket)
    expect(slice.length).toBe(10)
    slice.write('from Node')
    rust.child.stdin.end()
    expect(await rust.line()).toBe('from Node')
    expect(await rust.end).toBe(0)
    buffer.close()
  })

  test.each(['name', 'ticket', 'ticket of a slice'])('opened by Rust by its %s', async how => {
    const buffer = SharedBuffer.alloc(100, { name: randomName() })
    const part = how === 'ticket of a slice' ? buffer.subarray(20, 60) : buffer
    part.write('Node says ü')
    const rust = rustPeer('open-buffer', how === 'name' ? buffer.name : part.ticket)
    expect(await rust.line()).toBe('Node says ü')
    expect(await rust.end).toBe(0)
    expect(part.toString('utf8', 0, 32)).toBe('Node says ü, and Rust was here\0')
    buffer.close()
  })

  test('wait and notify wake each other', async () => {
    const buffer = SharedBuffer.alloc(8)
    const word = new Int32Array(buffer.buffer, buffer.byteOffset, 1)
    const count = 200
    const rust = rustPeer('turns', buffer.ticket, count)
    for (let turn = 0; turn < count; turn += 2) {
      for (let now = Atomics.load(word, 0); now !== turn; now = Atomics.load(word, 0)) {
        const { value } = waitAsync(word, 0, now, 20_000)
        expect(await value).not.toBe('timed-out')
      }
      Atomics.store(word, 0, turn + 1)
      notify(word, 0)
    }
    expect(await rust.end).toBe(0)
    expect(Atomics.load(word, 0)).toBe(count)
    buffer.close()
  })
})

describe('locks', () => {
  test('Node waits for a lock that Rust gives back', async () => {
    const name = randomName()
    const rust = rustPeer('hold-lock', name, 'exclusive')
    expect([await rust.line(), await rust.line()]).toEqual(['free', 'held false'])
    expect(await locks.request(name, { ifAvailable: true }, lock => lock)).toBe(null)
    const waiting = locks.acquire(name)
    rust.child.stdin.end()
    expect(await rust.line()).toBe('still held true')
    const lock = await waiting
    expect(lock.ownerDied).toBe(false)
    lock.release()
    expect(await rust.end).toBe(0)
  })

  test('Rust waits for a lock that Node has; it is shared with others who share', async () => {
    const name = randomName()
    const lock = await locks.acquire(name, { mode: 'shared' })
    const sharing = rustPeer('hold-lock', name, 'shared')
    expect([await sharing.line(), await sharing.line()]).toEqual(['free', 'held false'])
    const alone = rustPeer('hold-lock', name, 'exclusive')
    expect(await alone.line()).toBe('taken')
    sharing.child.stdin.end()
    expect(await sharing.end).toBe(0)
    lock.release()
    expect(await alone.line()).toBe('held false')
    alone.child.stdin.end()
    expect(await alone.end).toBe(0)
  })

  test('who waits is told of a holder that was killed, whichever side it is', async () => {
    const name = randomName()
    const rust = rustPeer('hold-lock', name, 'exclusive')
    expect([await rust.line(), await rust.line()]).toEqual(['free', 'held false'])
    const waiting = locks.acquire(name)
    await rust.kill()
    const lock = await waiting
    expect(lock.ownerDied).toBe(true)
    const next = rustPeer('hold-lock', name, 'exclusive')
    expect(await next.line()).toBe('taken')
    await until(async () => (await locks.query()).pending.some(request => request.name === name))
    const last = locks.acquire(name)
    lock.release()
    expect(await next.line()).toBe('held false')
    await next.kill()
    const end = await last
    expect(end.ownerDied).toBe(true)
    end.release()
  })

  test('stealing from Rust', async () => {
    const name = randomName()
    const rust = rustPeer('hold-lock', name, 'exclusive')
    expect([await rust.line(), await rust.line()]).toEqual(['free', 'held false'])
    await locks.request(name, { steal: true }, () => {})
    rust.child.stdin.end()
    expect(await rust.line()).toBe('still held false')
    expect(await rust.end).toBe(0)
  })

  test('permits of a killed Rust program come back', async () => {
    const name = randomName()
    const semaphore = new Semaphore(name, 3)
    const rust = rustPeer('hold-permits', name, 3, 2)
    expect(await rust.line()).toBe('held false')
    expect(semaphore.tryAcquire({ count: 2 })).toBe(null)
    const waiting = semaphore.acquire({ count: 2 })
    await rust.kill()
    const permit = await waiting
    expect(permit.ownerDied).toBe(true)
    permit.release()
  })
})

describe('SharedMap and SharedCounter', () => {
  test('values of all types, both ways', async () => {
    const map = new SharedMap()
    const values = { text: 'ü', empty: '', number: -1.5, whole: 7, object: { a: [1, null, 'x'] }, bytes: Buffer.from([1, 2]), no: false }
    for (const [key, value] of Object.entries(values)) map.set(key, value)
    map.set('hits', 1)
    const rust = rustPeer('map', map.ticket)
    for (const [key, value] of Object.entries({ ...values, hits: 1 })) {
      expect(JSON.parse(await rust.line())).toEqual([key, Buffer.isBuffer(value) ? [...value] : value])
    }
    expect(await rust.end).toBe(0)
    expect(map.get('text')).toBe('ü from Rust')
    const { list, ...rest } = map.get('object')
    expect(list).toEqual([1, 2.5, null])
    expect(Object.keys(rest)).toEqual(['__proto__'])
    expect(map.increment('number')).toBe(43)
    expect(map.get('large')).toBe(2 ** 64)
    expect(map.get('bytes')).toEqual(Buffer.from([1, 2, 255]))
    expect(map.get('hits')).toBe(3)
    map.close()
  })

  test('updates of both sides all count', async () => {
    const map = new SharedMap()
    const rust = [1, 2].map(() => rustPeer('storm', map.ticket, 2000))
    for (let i = 0; i < 2000; i++) {
      map.update('shared', (old = 0) => old + 1)
      map.increment('sum')
      if (i % 100 === 0) await new Promise(setImmediate)
    }
    for (const { end } of rust) expect(await end).toBe(0)
    expect([map.get('shared'), map.get('sum')]).toEqual([6000, 6000])
    map.close()
  })

  test('a counter is one word for both', async () => {
    const counter = new SharedCounter(randomName())
    const rust = rustPeer('count', counter.name, 1000)
    for (let i = 0; i < 1000; i++) counter.add()
    await rust.line()
    expect(await rust.end).toBe(0)
    expect(counter.value).toBe(2000n - 2n ** 40n)
  })
})
