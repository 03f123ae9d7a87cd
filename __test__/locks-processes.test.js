'use strict'

// Locks, semaphores and waits between processes: order, kills, stops.

const { Worker } = require('node:worker_threads')
const path = require('node:path')
const { locks, Semaphore, SharedBuffer, wait, waitAsync, notify } = require('../lib')
const { list } = require('../lib/shared')
const { child, endAll, name, until } = require('./fixtures/locks-support')

afterEach(endAll)

/** The lock is held for ever by another process. */
async function holder (x, options = {}) {
  const process = child(`locks.request(${JSON.stringify(x)}, ${JSON.stringify(options)}, () => { say('held'); return new Promise(() => setInterval(() => {}, 1000)) })`)
  await process.heard('held')
  return process
}

test('a lock excludes other processes, first come, first served', async () => {
  const x = name()
  const lock = await locks.acquire(x)
  const children = []
  for (const i of [1, 2, 3]) {
    children.push(child(`await locks.request(${JSON.stringify(x)}, () => say('got ${i}')); say('end')`))
    await until(async () => (await locks.query()).pending.filter(entry => entry.name === x).length === i)
  }
  const { pending } = await locks.query()
  const pids = pending.filter(entry => entry.name === x).map(entry => Number(entry.clientId.split('-')[0]))
  expect(pids).toEqual(children.map(process => process.pid))
  expect(children.map(process => process.lines)).toEqual([[], [], []])
  lock.release()
  for (const process of children) expect(await process.ended).toMatchObject({ status: 0, stderr: '' })
})

test('a killed holder frees it at once, and the next is told', async () => {
  const x = name()
  const killed = await holder(x)
  const next = locks.acquire(x)
  const after = locks.acquire(x)
  killed.kill('SIGKILL')
  const lock = await next
  expect(lock.ownerDied).toBe(true)
  lock.release()
  const second = await after
  expect(second.ownerDied).toBe(false)
  second.release()
})

test('nobody waited when it was killed: the next who asks is told', async () => {
  const x = name()
  const kept = await locks.acquire(name()) // Someone uses the table.
  const killed = await holder(x)
  killed.kill('SIGKILL')
  await killed.ended
  const lock = locks.acquireSync(x, { timeout: 5000 })
  expect(lock.ownerDied).toBe(true)
  lock.release()
  expect(await locks.request(x, ({ ownerDied }) => ownerDied)).toBe(false)
  kept.release()
})

test('who aborts before it gets what a killed process held keeps nobody from being told', async () => {
  const x = name()
  const kept = await locks.acquire(name())
  const killed = await holder(x)
  killed.kill('SIGKILL')
  await killed.ended
  const abort = new AbortController()
  const request = locks.request(x, { signal: abort.signal }, () => 'called')
  abort.abort()
  await expect(request).rejects.toMatchObject({ name: 'AbortError' })
  const lock = await locks.acquire(x)
  expect(lock.ownerDied).toBe(true)
  lock.release()
  expect(await locks.request(x, ({ ownerDied }) => ownerDied)).toBe(false)
  kept.release()
})

test('a blocked thread gets what a killed process held', async () => {
  const x = name()
  const killed = await holder(x)
  setTimeout(() => {}, 0)
  const killer = child(`setTimeout(() => process.kill(${killed.pid}, 'SIGKILL'), 200)`)
  const lock = locks.acquireSync(x, { timeout: 20_000 })
  expect(lock.ownerDied).toBe(true)
  lock.release()
  await killer.ended
})

test('a killed waiter does not get in the way', async () => {
  const x = name()
  const lock = await locks.acquire(x)
  const waiter = child(`locks.request(${JSON.stringify(x)}, () => {})`)
  await until(async () => (await locks.query()).pending.some(entry => entry.name === x))
  const next = locks.acquire(x)
  waiter.kill('SIGKILL')
  await waiter.ended
  lock.release()
  expect((await next).release()).toBe(true)
})

test('a stopped holder is never robbed', async () => {
  const x = name()
  const stopped = await holder(x)
  stopped.kill('SIGSTOP')
  expect(locks.acquireSync(x, { timeout: 300 })).toBe(null)
  let got = false
  const waiting = locks.acquire(x)
  waiting.then(() => { got = true })
  await new Promise(resolve => setTimeout(resolve, 500))
  expect(got).toBe(false)
  stopped.kill('SIGCONT')
  await new Promise(resolve => setTimeout(resolve, 100))
  expect(got).toBe(false)
  stopped.kill('SIGKILL')
  expect((await waiting).release()).toBe(true)
})

test('what was stolen from another process, it hears of', async () => {
  const x = name()
  const victim = child(`
    const lock = await locks.acquire(${JSON.stringify(x)})
    say('held')
    setInterval(() => { if (!lock.held) { say('lost ' + lock.release()); process.exit() } }, 5)`)
  await victim.heard('held')
  const thief = await locks.acquire(x, { steal: true })
  await victim.heard('lost false')
  expect(thief.release()).toBe(true)
})

test.each([['process.exit()', true], ['return', true]])('who ends by %s has given nothing back', async (end, told) => {
  const x = name()
  const kept = await locks.acquire(name())
  const { status, stderr } = await child(`await locks.acquire(${JSON.stringify(x)}); ${end}`).ended
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(await locks.request(x, lock => lock.ownerDied)).toBe(told)
  kept.release()
})

test('a pending request keeps a process alive, a held lock does not', async () => {
  const x = name()
  const lock = await locks.acquire(x)
  const waiting = child(`locks.request(${JSON.stringify(x)}, () => say('got'))`)
  await until(async () => (await locks.query()).pending.some(entry => entry.name === x))
  await new Promise(resolve => setTimeout(resolve, 100))
  expect(waiting.exitCode).toBe(null)
  lock.release()
  expect(await waiting.ended).toMatchObject({ status: 0, stdout: 'got\n' })
})

test('a terminated worker leaves its locks', async () => {
  const x = name()
  const worker = new Worker(`
    const { locks } = require(${JSON.stringify(path.join(__dirname, '../lib'))})
    const { parentPort } = require('node:worker_threads')
    const sync = locks.acquireSync(${JSON.stringify(x)} + 'sync')
    locks.acquire(${JSON.stringify(x)}).then(() => parentPort.postMessage('held'))
    setInterval(() => {}, 1000)`, { eval: true })
  await new Promise(resolve => worker.once('message', resolve))
  const waiting = [locks.acquire(x), locks.acquire(x + 'sync')]
  await worker.terminate()
  for (const lock of await Promise.all(waiting)) {
    expect(lock.ownerDied).toBe(true)
    lock.release()
  }
})

test('permits are counted over processes, and those of the dead come back', async () => {
  const x = name()
  const semaphore = new Semaphore(x, 3)
  const own = await semaphore.acquire()
  const other = child(`
    const semaphore = new Semaphore(${JSON.stringify(x)}, 3)
    const permit = semaphore.acquireSync({ count: 2 })
    say('held ' + permit.count)
    setInterval(() => {}, 1000)`)
  await other.heard('held 2')
  expect(semaphore.query()).toEqual({ permits: 3, held: 3, available: 0, pending: 0 })
  expect(semaphore.tryAcquire()).toBe(null)
  expect(semaphore.acquireSync({ timeout: 20 })).toBe(null)
  await expect(new Semaphore(x, 4).acquire()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
  const controller = new AbortController()
  const given = semaphore.acquire({ signal: controller.signal })
  controller.abort()
  await expect(given).rejects.toMatchObject({ name: 'AbortError' })
  const both = semaphore.acquire({ count: 2 })
  other.kill('SIGKILL')
  const permit = await both
  expect([permit.count, permit.ownerDied]).toEqual([2, true])
  expect([permit.release(), permit.release(), own.release()]).toEqual([true, false, true])
  expect(await semaphore.request(({ count }) => count)).toBe(1)
  expect(semaphore.query()).toEqual({ permits: 3, held: 0, available: 3, pending: 0 })
  expect(() => new Semaphore(x, 0)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  await expect(semaphore.acquire({ count: 4 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
})

describe('wait and notify', () => {
  test('between processes, blocked and not', async () => {
    const x = name()
    const buffer = SharedBuffer.alloc(64, { name: x })
    const words = new Int32Array(buffer.buffer, 8)
    const open = `const words = new Int32Array(SharedBuffer.open(${JSON.stringify(x)}).buffer, 8)`
    const blocked = child(`${open}; say('go'); say(wait(words, 1, 0))`)
    await blocked.heard('go')
    let count = 0
    await until(() => (count += notify(words, 1)) > 0)
    await blocked.heard('ok')
    const other = child(`${open}
      const results = [waitAsync(words, 1, 0), waitAsync(words, 1, 0)]
      say('waits'); for (const { value } of results) say(await value); say('end')`)
    await other.heard('waits')
    expect(notify(words, 0)).toBe(0)
    expect([notify(words, 1, 1), notify(words, 1), notify(words, 1)]).toEqual([1, 1, 0])
    await other.heard('end')
    expect(other.lines).toEqual(['waits', 'ok', 'ok', 'end'])
    const dead = child(`${open}; waitAsync(words, 1, 0); say('waits')`)
    await dead.heard('waits')
    dead.kill('SIGKILL')
    await dead.ended
    expect(notify(words, 1)).toBe(0)
    buffer.close()
  })

  test('answers as Atomics does', async () => {
    const buffer = SharedBuffer.alloc(64)
    const views = [[new Int32Array(buffer.buffer), n => n], [new BigInt64Array(buffer.buffer, 8), BigInt]]
    for (const [words, value] of views) {
      words[2] = value(-7)
      expect(wait(words, 2, value(1))).toBe('not-equal')
      expect(wait(words, 2, value(-7), 5)).toBe('timed-out')
      expect(waitAsync(words, 2, value(1))).toEqual({ async: false, value: 'not-equal' })
      expect(waitAsync(words, 2, value(-7), 0)).toEqual({ async: false, value: 'timed-out' })
      expect(await waitAsync(words, 2, value(-7), 10).value).toBe('timed-out')
      const waiting = waitAsync(words, 2, value(-7))
      expect(waiting.async).toBe(true)
      expect(notify(words, 2)).toBe(1)
      expect(await waiting.value).toBe('ok')
    }
    const shared = new Int32Array(new SharedArrayBuffer(8))
    expect([wait(shared, 0, 1), wait(shared, 0, 0, 1), notify(shared, 0)]).toEqual(['not-equal', 'timed-out', 0])
    const [words] = views[0]
    expect(() => wait(words, 16, 0)).toThrow(RangeError)
    expect(() => wait(new Int32Array(4), 0, 0)).toThrow(TypeError)
    expect(() => notify(new Uint8Array(buffer.buffer), 0)).toThrow(TypeError)
    buffer.close()
  })

  test('a pending waitAsync starts no thread', async () => {
    const { stdout, stderr } = await child(`
      const threads = () => require('node:fs').readdirSync('/proc/self/task').length
      const words = new Int32Array(SharedBuffer.alloc(64).buffer)
      await locks.request('warm', () => {})
      const before = threads()
      const all = Array.from({ length: 1000 }, (_, i) => waitAsync(words, i % 10, 0).value)
      await new Promise(resolve => setTimeout(resolve, 150))
      say(String(threads() - before))
      for (let i = 0; i < 10; i++) if (notify(words, i) !== 100) say('not all')
      say((await Promise.all(all)).every(result => result === 'ok'))`).ended
    expect({ stdout, stderr }).toEqual({ stdout: '0\ntrue\n', stderr: '' })
  })
})

test('who ends in order leaves nothing', async () => {
  const x = name()
  const user = child(`await locks.request(${JSON.stringify(x)}, () => {})`)
  const { status, stderr } = await user.ended
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  // Of those that other tests killed, the place stays until another takes it.
  const users = list().filter(({ kind }) => kind === 'locks').flatMap(info => info.users)
  expect(users.filter(({ pid }) => pid === user.pid)).toEqual([])
})
