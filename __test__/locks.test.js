'use strict'

// Locks within this process hold to the Web Locks API; WEB_LOCKS=1 runs them with Node 24's navigator.locks in place of ours.
// Left out there: two where Node 24 departs from the specification (a callback that throws at once, a callback that is called at once).

const { getEventListeners } = require('node:events')
const { inspect } = require('node:util')
const interproc = require('../lib')
const { name } = require('./fixtures/locks-support')
const { onlyIf } = require('./fixtures/only-if')

const locks = process.env.WEB_LOCKS ? globalThis.navigator.locks : interproc.locks
const ours = onlyIf(!process.env.WEB_LOCKS, 'the Web has no such thing')

const later = () => new Promise(resolve => setImmediate(resolve))

/** Holds a lock until `release` is called. */
function hold (lock, options = {}) {
  let release
  const held = new Promise(resolve => { release = resolve })
  const got = new Promise((resolve, reject) => {
    locks.request(lock, options, granted => resolve(granted) ?? held).catch(reject)
  })
  return { got, release }
}

test('gives what the callback gives, and holds until that has settled', async () => {
  const x = name()
  const order = []
  const first = locks.request(x, async lock => {
    expect([lock.name, lock.mode]).toEqual([x, 'exclusive'])
    await later()
    order.push('first')
    return 1
  })
  const second = locks.request(x, () => { order.push('second') })
  expect(await Promise.all([first, second])).toEqual([1, undefined])
  expect(order).toEqual(['first', 'second'])
})

ours('a failing callback gives the lock back', async () => {
  const x = name()
  await expect(locks.request(x, () => { throw new Error('sync') })).rejects.toThrow('sync')
  await expect(locks.request(x, async () => { throw new Error('async') })).rejects.toThrow('async')
  expect(await locks.request(x, { ifAvailable: true }, lock => lock !== null)).toBe(true)
})

ours('the callback is not called before request returns', async () => {
  let called = false
  const done = locks.request(name(), () => { called = true })
  expect(called).toBe(false)
  await done
})

test('shared locks go together, in the order of asking', async () => {
  const x = name()
  const order = []
  const first = hold(x)
  await first.got
  const log = text => () => { order.push(text) }
  const all = [
    locks.request(x, { mode: 'shared' }, log('reader 1')), locks.request(x, { mode: 'shared' }, log('reader 2')),
    locks.request(x, log('writer')), locks.request(x, { mode: 'shared' }, log('reader 3'))
  ]
  const { held, pending } = await locks.query()
  const of = list => list.filter(entry => entry.name === x).map(entry => entry.mode)
  expect([of(held), of(pending)]).toEqual([['exclusive'], ['shared', 'shared', 'exclusive', 'shared']])
  first.release()
  await Promise.all(all)
  expect(order).toEqual(['reader 1', 'reader 2', 'writer', 'reader 3'])
})

test('readers hold it at the same time', async () => {
  const x = name()
  const readers = [hold(x, { mode: 'shared' }), hold(x, { mode: 'shared' })]
  expect((await Promise.all(readers.map(reader => reader.got))).map(lock => lock.mode)).toEqual(['shared', 'shared'])
  expect(await locks.request(x, { ifAvailable: true }, lock => lock)).toBe(null)
  for (const reader of readers) reader.release()
  await locks.request(x, () => {})
})

test('ifAvailable gives null instead of waiting', async () => {
  const x = name()
  const holder = hold(x)
  await holder.got
  expect(await locks.request(x, { ifAvailable: true }, lock => ({ lock }))).toEqual({ lock: null })
  holder.release()
})

test('steal takes it, and the victim hears of it', async () => {
  const x = name()
  const victim = locks.request(x, () => new Promise(() => {}))
  await later()
  const waiting = locks.request(x, () => 'waited')
  const stolen = locks.request(x, { steal: true }, async lock => {
    expect(lock.mode).toBe('exclusive')
    await later()
    return 'stolen'
  })
  await expect(victim).rejects.toMatchObject({ name: 'AbortError' })
  expect(await Promise.all([stolen, waiting])).toEqual(['stolen', 'waited'])
})

test('a signal ends the waiting with its reason, and does nothing later', async () => {
  const x = name()
  const reason = new Error('enough')
  await expect(locks.request(x, { signal: AbortSignal.abort(reason) }, () => {})).rejects.toBe(reason)
  const holder = hold(x)
  await holder.got
  const controller = new AbortController()
  const waiting = locks.request(x, { signal: controller.signal }, () => 'never')
  await later()
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  holder.release()
  const granted = new AbortController()
  const result = locks.request(x, { signal: granted.signal }, async () => {
    granted.abort()
    await later()
    return 'kept'
  })
  expect(await result).toBe('kept')
})

test('options that exclude each other, and bad arguments', async () => {
  const refuses = async (error, ...args) => {
    await expect(locks.request(...args)).rejects.toMatchObject({ name: error })
  }
  const never = () => { throw new Error('must not be called') }
  const { signal } = new AbortController()
  await refuses('NotSupportedError', '-x', never)
  await refuses('NotSupportedError', 'x', { steal: true, ifAvailable: true }, never)
  await refuses('NotSupportedError', 'x', { steal: true, mode: 'shared' }, never)
  await refuses('NotSupportedError', 'x', { signal, steal: true }, never)
  await refuses('NotSupportedError', 'x', { signal, ifAvailable: true }, never)
  await refuses('TypeError', 'x', { mode: 'other' }, never)
  await refuses('TypeError', 'x', { signal: 'no signal' }, never)
  await refuses('TypeError', 'x', {})
  await refuses('TypeError', 'x', 7, never)
})

test('any string is a name', async () => {
  for (const odd of ['', '\0', 'a/b', 'größe 💡', 'constructor', 'x'.repeat(200)]) {
    expect(await locks.request(odd, lock => lock.name)).toBe(odd)
  }
})

ours('a name beyond 200 bytes is refused', async () => {
  await expect(locks.request('ü'.repeat(101), () => {})).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
})

ours('many wait, and all get it in turn', async () => {
  const x = name()
  const order = []
  await Promise.all(Array.from({ length: 500 }, (_, i) => locks.request(x, () => { order.push(i) })))
  expect(order).toEqual(Array.from({ length: 500 }, (_, i) => i))
})

ours('acquire and acquireSync hold until release', async () => {
  const x = name()
  const lock = await locks.acquire(x)
  expect([lock.name, lock.mode, lock.ownerDied, lock.held]).toEqual([x, 'exclusive', false, true])
  expect(locks.acquireSync(x, { timeout: 20 })).toBe(null)
  expect(locks.acquireSync(x, { ifAvailable: true })).toBe(null)
  expect(await locks.acquire(x, { ifAvailable: true })).toBe(null)
  expect([lock.release(), lock.held, lock.release()]).toEqual([true, false, false])
  const readers = [locks.acquireSync(x, { mode: 'shared' }), locks.acquireSync(x, { mode: 'shared', timeout: 0 })]
  for (const reader of readers) reader[Symbol.dispose]()
  const victim = locks.acquireSync(x)
  const thief = locks.acquireSync(x, { steal: true })
  expect([victim.held, victim.release(), thief.held, thief.release()]).toEqual([false, false, true, true])
  expect(() => locks.acquireSync(x, { timeout: -1 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
})

ours('a signal of what was granted and stolen at once leaves nothing in the table', async () => {
  const x = name()
  for (let i = 0; i < 1100; i++) {
    const first = locks.acquireSync(x)
    const controller = new AbortController()
    const given = locks.acquire(x, { signal: controller.signal })
    first.release()
    locks.acquireSync(x, { steal: true }).release()
    controller.abort('no')
    await expect(given).rejects.toBe('no')
  }
  const lock = await locks.acquire(x)
  expect(lock.release()).toBe(true)
})

ours('what was granted and stolen before the thread looked is an AbortError', async () => {
  const x = name()
  const first = locks.acquireSync(x)
  const given = locks.acquire(x)
  first.release()
  const thief = locks.acquireSync(x, { steal: true })
  await expect(given).rejects.toMatchObject({ name: 'AbortError' })
  expect(thief.release()).toBe(true)
})

ours('signal and timeout count or are refused, wherever they are given', async () => {
  const x = name()
  const semaphore = new interproc.Semaphore(x, 1)
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  for (const ask of [locks.acquireSync.bind(locks, x), semaphore.acquireSync.bind(semaphore), semaphore.tryAcquire.bind(semaphore)]) {
    expect(() => ask({ signal })).toThrow(reason)
    expect(ask({ signal: new AbortController().signal }).release()).toBe(true)
  }
  const refused = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining('AbortSignal.timeout') })
  await expect(locks.acquire(x, { timeout: 50 })).rejects.toEqual(refused)
  await expect(semaphore.acquire({ timeout: 50 })).rejects.toEqual(refused)
  await expect(semaphore.request({ timeout: 50 }, () => {})).rejects.toEqual(refused)
  expect(() => semaphore.tryAcquire({ timeout: 50 })).toThrow(refused)
  expect(locks.acquireSync(x, null).release()).toBe(true)
  expect((await locks.acquire(x, null)).release()).toBe(true)
  expect(() => semaphore.acquireSync(null)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  expect(semaphore.query()).toMatchObject({ held: 0, pending: 0 })
})

test('a signal ends a request also if it is aborted when request has just returned', async () => {
  const x = name()
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  let called = false
  const given = locks.request(x, { signal: controller.signal }, () => { called = true })
  controller.abort(reason)
  await expect(given).rejects.toBe(reason)
  expect(called).toBe(false)
  expect(await locks.request(x, { ifAvailable: true }, lock => lock !== null)).toBe(true)
})

ours('a signal does so for acquire and semaphores, and leaves no listener', async () => {
  const x = name()
  const semaphore = new interproc.Semaphore(x, 1)
  for (const ask of [signal => locks.acquire(x, { signal }), signal => semaphore.acquire({ signal })]) {
    const controller = new AbortController()
    const given = ask(controller.signal)
    controller.abort('no')
    await expect(given).rejects.toBe('no')
    const kept = new AbortController()
    const held = await ask(kept.signal)
    const waiting = ask(kept.signal)
    expect(getEventListeners(kept.signal, 'abort').length).toBe(1)
    // Granted, but not handed over.
    held.release()
    kept.abort('late')
    await expect(waiting).rejects.toBe('late')
    expect(getEventListeners(kept.signal, 'abort').length).toBe(0)
    expect((await ask(undefined)).release()).toBe(true)
  }
})

test('whose callback ends after a theft hears of the theft, not of the end', async () => {
  for (const settle of ['resolve', 'reject']) {
    const x = name()
    let end
    const victim = locks.request(x, () => new Promise((resolve, reject) => { end = { resolve, reject }[settle] }))
    await later()
    await locks.request(x, { steal: true }, () => {})
    end(new Error('too late'))
    await expect(victim).rejects.toMatchObject({ name: 'AbortError' })
  }
  const y = name()
  const own = locks.request(y, () => locks.request(y, { steal: true }, () => 'of the thief'))
  await expect(own).rejects.toMatchObject({ name: 'AbortError' })
  await locks.request(y, () => {})
})

test('names that are no Unicode are names of their own', async () => {
  const odd = ['\ud800', '\ud801', '\udc00\ud800', '\ufffd', '"\\ud800"', '\ud83d\ude00\udc00"\\\0'].map(text => `${text} ${name()}`)
  const holders = odd.map(text => hold(text))
  expect((await Promise.all(holders.map(({ got }) => got))).map(lock => lock.name)).toEqual(odd)
  const { held } = await locks.query()
  expect(held.map(entry => entry.name)).toEqual(expect.arrayContaining(odd))
  for (const text of odd) expect(await locks.request(text, { ifAvailable: true }, lock => lock)).toBe(null)
  for (const { release } of holders) release()
  for (const text of odd) await locks.request(text, () => {})
})

ours('a semaphore has no such name, and the limit counts what the table holds', async () => {
  expect(() => new interproc.Semaphore('\ud800', 1)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  const longest = `\ud800${'x'.repeat(191)}`
  expect(await locks.request(longest, lock => lock.name === longest)).toBe(true)
  await expect(locks.request(`${longest}x`, () => {})).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
})

ours('options are read once each, in the order of their names', async () => {
  const read = []
  const values = { signal: undefined, steal: 0, mode: 'shared', ifAvailable: 1 }
  const get = (target, key) => {
    read.push(key)
    return target[key]
  }
  const options = new Proxy(values, { get })
  expect(await locks.request(name(), options, lock => lock.mode)).toBe('shared')
  expect(read).toEqual(['ifAvailable', 'mode', 'signal', 'steal'])
})

ours('locks look as the Web\'s and can be printed', async () => {
  const x = name()
  const keys = object => {
    const all = []
    for (const key in object) all.push(key)
    return all
  }
  const lock = await locks.request(x, lock => lock)
  expect([keys(lock), locks.request.length, locks.query.length]).toEqual([['name', 'mode', 'ownerDied'], 2, 0])
  expect(keys(locks)).toEqual(expect.arrayContaining(['request', 'query']))
  expect(inspect(lock, { breakLength: Infinity })).toBe(`Lock { name: '${x}', mode: 'exclusive', ownerDied: false }`)
  const held = await locks.acquire(x)
  expect(inspect(held, { breakLength: Infinity })).toMatch(/^HeldLock \{ .*held: true \}$/)
  expect(inspect(Object.create(lock))).toBe('[Lock]')
  held.release()
})

ours('locks cannot be made by hand', () => {
  expect(() => new locks.constructor()).toThrow(expect.objectContaining({ code: 'ERR_ILLEGAL_CONSTRUCTOR' }))
})
