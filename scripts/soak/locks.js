'use strict'

/**
 * Processes get and give back locks, permits, entries of a map and counters, while this one kills (SIGKILL) and stops (SIGSTOP) them
 * at random. A lock has a word that only its holder may set, and so has each permit; a map's entry has a text as long as it says;
 * counters lack no more than the dead had begun.
 */

const { fork } = require('node:child_process')
const fs = require('node:fs')
const { Victims } = require('./support/victims')
const { STALL_MS, watch } = require('./support/watch')

const NAMES = 4
const PERMITS = 3
/** Names of counters: there is room for 4096 as long as anyone counts. */
const COUNTERS = 500
/** Behind the words of the locks, and the numbers of locks and deaths. */
const FIRST_PERMIT = NAMES + 2
/** What all counters were to be. */
const COUNTED = FIRST_PERMIT + PERMITS
const nobody = new Int32Array(new SharedArrayBuffer(4))
const WORKERS = 6
/** Milliseconds that they live, in the mean. */
const LIFE = 120

if (require.main === module) work(process.argv[2])

module.exports = { soak }

/**
 * @param {number} seconds
 * @param {Record<string, number>} counts is counted up meanwhile
 */
async function soak (seconds, counts) {
  const { locks, Semaphore, SharedBuffer, SharedCounter, SharedMap } = require('../../lib')
  const buffer = SharedBuffer.alloc(4096)
  const words = new Int32Array(buffer.buffer)
  const map = new SharedMap({ capacity: 256 * 1024 })
  const place = JSON.stringify({ buffer: buffer.ticket, map: map.ticket, prefix: `soak ${process.pid}` })
  const semaphore = new Semaphore(`soak ${process.pid} permits`, PERMITS)
  // Counters live as long as someone counts: this process.
  new SharedCounter(`soak ${process.pid} counter 0`).add(0n)
  const sumOf = () => SharedCounter.list().filter(({ name }) => name.startsWith(`soak ${process.pid} `))
    .reduce((sum, { value }) => sum + Number(value), 0)
  const before = sumOf()
  // Deaths are remembered as long as someone has the table open: this process.
  const own = await locks.acquire(`soak ${process.pid}`)
  Object.assign(counts, { kills: 0, stops: 0, locks: 0, deaths: 0, stalls: 0 })
  const failures = []
  const victims = new Victims(counts, failure => failures.push(failure))
  const start = () => {
    const worker = fork(__filename, [place], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    worker.on('message', failure => failures.push(failure))
    return worker
  }
  for (let i = 0; i < WORKERS; i++) victims.keep(start, LIFE)
  const progress = () => Atomics.load(words, NAMES)
  const live = setInterval(() => { counts.locks = progress() }, 500)
  if (!await watch({ until: Date.now() + seconds * 1000, progress, victims, life: LIFE })) {
    counts.stalls++
    failures.push(`stall: no lock was got for ${STALL_MS / 1000} seconds, although nobody was killed or stopped`)
  }
  clearInterval(live)
  await victims.end()
  own.release()
  for (let i = 0; i < NAMES; i++) {
    const lock = locks.acquireSync(`soak ${process.pid} ${i}`, { timeout: 10_000 })
    if (lock === null) failures.push(`lock ${i} was not free in the end`)
    lock?.release()
  }
  const all = semaphore.acquireSync({ count: PERMITS, timeout: 10_000 })
  if (all === null) failures.push(`permits were lost: ${JSON.stringify(semaphore.query())}`)
  all?.release()
  for (const [key, { length, text }] of map) if (text.length !== length) failures.push(`entry ${key} is torn`)
  const counted = sumOf() - before
  const lacking = words[COUNTED] - counted
  if (counted === 0 || lacking < 0 || lacking > counts.kills + WORKERS) failures.push(`counters have ${counted} of ${words[COUNTED]}, after ${counts.kills} deaths`)
  const names = SharedCounter.list().map(({ name }) => name)
  if (new Set(names).size !== names.length) failures.push('a counter is there twice')
  counts.locks = words[NAMES]
  counts.deaths = words[NAMES + 1]
  map.close()
  buffer.close()
  return { ...counts, failures }
}

/** Not so once it was killed, even if nobody has waited for it yet. */
function runs (pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !'ZX'.includes(stat[stat.lastIndexOf(')') + 2])
  } catch {
    return false
  }
}

/** What a killed process held ends a moment before it does: waits for that, a second at most. `false`: it never came true. */
function soon (condition) {
  for (let patience = 1000; patience > 0; patience--) {
    if (condition()) return true
    Atomics.wait(nobody, 0, 0, 1)
  }
  return false
}

/** @param {string} place */
async function work (place) {
  const { locks, Semaphore, SharedBuffer, SharedCounter, SharedMap } = require('../../lib')
  const { buffer, map: ticket, prefix } = JSON.parse(place)
  const words = new Int32Array(SharedBuffer.open(buffer).buffer)
  const map = new SharedMap(ticket)
  const semaphore = new Semaphore(`${prefix} permits`, PERMITS)
  process.stdout.write('ready\n')
  const random = count => Math.floor(Math.random() * count)
  const guarded = (number, lock) => {
    Atomics.add(words, NAMES, 1)
    const before = Atomics.exchange(words, number, process.pid)
    if (lock.ownerDied) Atomics.add(words, NAMES + 1, 1)
    // Who left its mark must have died, and who comes must have been told of that.
    if (before !== 0 && (!lock.ownerDied || !soon(() => !runs(before)))) process.send(`lock ${number} was held by ${before} and ${process.pid} at once${lock.ownerDied ? ', who was told of its death' : ''}`)
    for (let i = random(2000); i > 0; i--);
    const after = Atomics.exchange(words, number, 0)
    if (after !== process.pid) process.send(`${after} came into lock ${number} of ${process.pid}`)
  }
  // Each permit that is out has a word with its holder's process id; of the dead they are taken over.
  const counted = count => {
    const own = []
    const taken = soon(() => {
      for (let at = FIRST_PERMIT; at < FIRST_PERMIT + PERMITS && own.length < count; at++) {
        const before = Atomics.load(words, at)
        if (own.includes(at) || (before !== 0 && runs(before))) continue
        if (Atomics.compareExchange(words, at, before, process.pid) === before) own.push(at)
      }
      return own.length === count
    })
    if (!taken) process.send(`more than ${PERMITS} permits were out: ${count} more than ${words.subarray(FIRST_PERMIT, FIRST_PERMIT + PERMITS)}`)
    for (let i = random(2000); i > 0; i--);
    for (const at of own) Atomics.store(words, at, 0)
  }
  for (;;) {
    const number = random(NAMES)
    const name = `${prefix} ${number}`
    const length = random(1000)
    switch (random(6)) {
      case 0: {
        const lock = locks.acquireSync(name)
        guarded(number, lock)
        lock.release()
        break
      }
      case 1: {
        const count = 1 + random(PERMITS)
        const permit = await semaphore.acquire({ count })
        counted(count)
        permit.release()
        break
      }
      case 2:
        map.set(`key ${random(50)}`, { length, text: 'x'.repeat(length) })
        break
      case 3: {
        const counter = new SharedCounter(`${prefix} counter ${random(COUNTERS)}`)
        Atomics.add(words, COUNTED, 1)
        counter.add()
        break
      }
      case 4: {
        const key = `key ${random(50)}`
        const entry = map.get(key)
        if (entry !== undefined && entry.text.length !== entry.length) process.send(`entry ${key} is torn`)
        break
      }
      default:
        await locks.request(name, lock => guarded(number, lock))
    }
  }
}
