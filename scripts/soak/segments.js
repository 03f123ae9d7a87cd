'use strict'

/**
 * Opens and closes of shared memory, as fast as several processes can: nothing may grow, neither memory nor descriptors, mappings or files.
 * `npm run soak -- MINUTES segments` goes by time; `node scripts/soak/segments.js 1000000` by number.
 *
 * A part of what is opened is not closed but left to the garbage collector, and some are queues, maps, counters, locks and semaphores.
 */

const { fork } = require('node:child_process')
const fs = require('node:fs')

const WORKERS = 4
/** Opens between two looks at what the process has. */
const ROUND = 1000
/** Of so many opens one is a queue, a map or another thing with an inside. */
const ROOMS_EVERY = 20
/** Rounds until every cache and pool has its size. */
const WARM_UP = 5
/** Bytes that a process may have more at the end than after the warm-up: pages of the heap come and go. */
const SLACK = 12 << 20
/** Without a word of a worker for so long, it hangs. */
const STALL_MS = 60_000

module.exports = { soak, openAndClose }

if (process.send !== undefined && process.argv[2] === 'worker') work(JSON.parse(process.argv[3]))
else if (require.main === module) main(Number(process.argv[2] ?? 1_000_000))

/** @param {number} opens */
async function main (opens) {
  const { failures, ...counts } = await openAndClose({ opens, until: Infinity })
  console.log(JSON.stringify(counts, null, 2))
  for (const failure of failures) console.log(failure)
  if (failures.length > 0) process.exitCode = 1
}

/** @param {number} seconds */
async function soak (seconds) {
  const { opens, collected, failures } = await openAndClose({ opens: Infinity, until: Date.now() + seconds * 1000 })
  return { opens, collected, failures }
}

/** @param {{ opens: number, until: number }} end of all workers together */
async function openAndClose ({ opens, until }) {
  const { SharedBuffer } = require('../../lib')
  const prefix = `soak segments ${process.pid}`
  const shared = SharedBuffer.alloc(4096, { name: `${prefix} shared` })
  const failures = []
  const began = Date.now()
  const share = opens === Infinity ? undefined : Math.ceil(opens / WORKERS)
  const order = { place: shared.name, ticket: shared.ticket, prefix, opens: share, until: until === Infinity ? undefined : until }
  const reports = await Promise.all(Array.from({ length: WORKERS }, (_, i) => run({ ...order, prefix: `${prefix} ${i}` }, failures)))
  shared.close()
  for (const { name, health, fileName } of await leftSince(began, prefix)) failures.push(`the segment ${name ?? fileName} is left, ${health}`)
  const sum = key => reports.reduce((total, report) => total + report[key], 0)
  return { opens: sum('opens'), collected: sum('collected'), seconds: (Date.now() - began) / 1000, processes: reports.map(({ growth }) => growth), failures }
}

/**
 * What workers left: by name, or without a name and a user. A process leaves one after the other, so those are looked for twice.
 * @param {number} began
 * @param {string} prefix
 */
async function leftSince (began, prefix) {
  const { list } = require('../../lib/shared')
  const left = () => list().filter(({ name, users, created }) => {
    return name === null ? users.length === 0 && created.getTime() >= began : name.startsWith(prefix)
  })
  const before = new Set(left().map(({ fileName }) => fileName))
  await new Promise(resolve => setTimeout(resolve, 1000))
  return left().filter(({ fileName }) => before.has(fileName))
}

/**
 * One worker to its end.
 * @param {object} order
 * @param {string[]} failures
 * @returns {Promise<{ opens: number, collected: number, growth: object }>}
 */
function run (order, failures) {
  return new Promise(resolve => {
    const worker = fork(__filename, ['worker', JSON.stringify(order)], { execArgv: ['--expose-gc'], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    const growth = { first: null, last: null }
    let report = { opens: 0, collected: 0 }
    let stderr = ''
    const stalled = () => {
      failures.push(`a worker said nothing for ${STALL_MS} ms after ${report.opens} opens`)
      worker.kill('SIGKILL')
    }
    let timer = setTimeout(stalled, STALL_MS)
    worker.stderr.on('data', text => { stderr += text })
    worker.on('message', ({ has, ...counts }) => {
      clearTimeout(timer)
      timer = setTimeout(stalled, STALL_MS)
      report = counts
      if (counts.rounds === WARM_UP) growth.first = has
      if (counts.rounds >= WARM_UP) growth.last = has
    })
    worker.on('close', (code, signal) => {
      clearTimeout(timer)
      if (code !== 0) failures.push(`a worker ended by ${signal ?? code}: ${stderr}`)
      failures.push(...grown(growth))
      resolve({ ...report, growth })
    })
  })
}

/** @param {{ first: any, last: any }} growth */
function grown ({ first, last }) {
  if (first === null) return [`a worker ended before the ${WARM_UP} rounds of warming up`]
  return Object.keys(first)
    .filter(what => last[what] > first[what] + (what === 'descriptors' || what === 'mappings' ? 0 : SLACK))
    .map(what => `${what} grew from ${first[what]} to ${last[what]}`)
}

/** @param {{ place: string, ticket: string, prefix: string, opens?: number, until?: number }} order */
async function work ({ place, ticket, prefix, opens = Infinity, until = Infinity }) {
  const { SharedBuffer, SharedMap, SharedCounter, Queue, Semaphore, locks } = require('../../lib')
  const counts = { rounds: 0, opens: 0, collected: 0 }
  const buffers = [
    () => SharedBuffer.alloc(100).close(),
    () => SharedBuffer.alloc(10_000, { name: `${prefix} own` }).subarray(5).close(),
    () => SharedBuffer.open(place).close(),
    () => SharedBuffer.open(ticket, { readOnly: true }).close(),
    () => SharedBuffer.open(`${ticket}#8+100`).close(),
    // For the collector. Its pages come back with it, or with the process.
    () => { counts.collected++; SharedBuffer.alloc(1000) },
    () => { counts.collected++; SharedBuffer.open(place, { readOnly: counts.opens % 2 === 0 }) }
  ]
  const rooms = [
    () => new Queue(`${prefix} queue`, { capacity: 65536 }).close(),
    () => new SharedMap(`${prefix} map`, { capacity: 65536 }).close(),
    () => new SharedCounter(`${prefix} counter`).add(),
    () => locks.request(`${prefix} lock`, () => {}),
    () => locks.acquireSync(`${prefix} lock`).release(),
    () => new Semaphore(`${prefix} semaphore`, 3).request(() => {})
  ]
  let failed
  // On a busy machine a short turn is over before all is warm: without that, nothing could be compared.
  const cold = () => until !== Infinity && counts.rounds <= WARM_UP
  while (counts.opens < opens && (Date.now() < until || cold()) && failed === undefined) {
    for (let i = 0; i < ROUND; i++) {
      const all = i % ROOMS_EVERY === 0 ? rooms : buffers
      const result = all[Math.floor(Math.random() * all.length)]()
      if (typeof result?.then === 'function') await result
      counts.opens++
    }
    counts.rounds++
    for (let i = 0; i < 2; i++) {
      globalThis.gc()
      await new Promise(resolve => setTimeout(resolve, 5)) // Finalizers run between tasks.
    }
    process.send({ ...counts, has: whatThereIs() })
  }
  process.disconnect()
}

/** What this process has open, in numbers. */
function whatThereIs () {
  const { rss, heapUsed, external } = process.memoryUsage()
  const linux = process.platform === 'linux'
  const maps = linux ? fs.readFileSync('/proc/self/maps', 'utf8').split('\n').filter(line => line.includes('/interproc.')).length : 0
  return { rss, heapUsed, external, descriptors: linux ? fs.readdirSync('/proc/self/fd').length : 0, mappings: maps }
}
