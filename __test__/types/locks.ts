// What must compile, and what must not: locks, semaphores, waits, maps, counters.

import { locks, notify, Semaphore, SharedCounter, SharedMap, wait, waitAsync } from '../../index.js'

async function lockTypes (signal: AbortSignal) {
  const number: number = await locks.request('x', lock => lock.name.length)
  await locks.request('x', { mode: 'shared', signal }, async lock => lock.ownerDied)
  // @ts-expect-error null if it is not free
  await locks.request('x', { ifAvailable: true }, lock => lock.name)
  // @ts-expect-error no such mode
  await locks.request('x', { mode: 'other' }, () => {})
  const held = await locks.acquire('x')
  const released: boolean = held.release()
  // @ts-expect-error null if not in time
  locks.acquireSync('x', { timeout: 5 }).release()
  const semaphore = new Semaphore('x', 2)
  const count: number = (await semaphore.acquire({ count: 2 })).count
  // @ts-expect-error the number of permits is missing
  new Semaphore('x')
  return [number, released, count]
}

async function waitTypes (narrow: Int32Array, wide: BigInt64Array) {
  const result: 'ok' | 'not-equal' | 'timed-out' = wait(wide, 0, 1n, 100)
  const waiting = waitAsync(narrow, 0, 1)
  if (waiting.async) await waiting.value
  // @ts-expect-error a BigInt64Array holds big integers
  wait(wide, 0, 1)
  // @ts-expect-error bytes cannot be waited for
  notify(new Uint8Array(4), 0)
  return result
}

function mapTypes () {
  const map = new SharedMap<{ user: string }>('sessions', { capacity: 2 ** 20, ttl: 1000, evict: false })
  map.set('x', { user: 'y' }, { ttl: 5 }).update('x', session => session && { ...session, user: 'z' })
  // @ts-expect-error another value
  map.set('x', 1)
  for (const [key, { user }] of map) console.log(key, user)
  const before: bigint = new SharedCounter('x').add(2n)
  // @ts-expect-error counters are big
  new SharedCounter('x').add(2)
  return before
}

export { lockTypes, waitTypes, mapTypes }
