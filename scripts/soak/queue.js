'use strict'

/**
 * Queues. Producers number their messages, consumers note what they see, all in a ledger that survives them; they are killed and
 * stopped at random, in rounds: each with a queue of another kind (acknowledged or not, tiny or large, named or a file), in some
 * all are killed at once, and the queue is opened anew by those who come then.
 *
 * At the end of a round everything that was sent must have been seen, once: with acknowledgement every single message; without, all
 * but those that a killed consumer had just been handed: exactly as many as the queue itself says.
 */

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { remove } = require('../../lib/shared')
const { Ledger, PEOPLE } = require('./support/ledger')
const { note } = require('./support/queue-worker')
const { rustVictim } = require('./support/rust')
const { Victims } = require('./support/victims')
const { STALL_MS, watch } = require('./support/watch')

const ROUND_MS = 8_000
const worker = path.join(__dirname, 'support', 'queue-worker.js')

module.exports = { soak }

/**
 * @param {number} seconds
 * @param {Record<string, number>} counts is counted up meanwhile
 */
async function soak (seconds, counts) {
  Object.assign(counts, { kills: 0, stops: 0, messages: 0, handed: 0, lost: 0, corrupt: 0, stalls: 0, rounds: 0 })
  /** @type {string[]} */
  const failures = []
  const end = Date.now() + seconds * 1000
  while (Date.now() < end - 1000 && failures.length < 20) {
    const failed = failures.length
    const kind = anyKind()
    await round(kind, Math.min(end, Date.now() + ROUND_MS), counts, failures)
    counts.rounds++
    for (let i = failed; i < failures.length; i++) failures[i] += ` (${JSON.stringify(kind)})`
  }
  return { ...counts, failures }
}

function anyKind () {
  const of = (...choices) => choices[Math.floor(Math.random() * choices.length)]
  return { ack: of(false, true), capacity: of(512, 4096, 65_536, 65_536, 1 << 20), place: of('ticket', 'name', 'persistent', 'file') }
}

async function round (kind, until, counts, failures) {
  const { Queue } = require('../../lib')
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interproc-soak-'))
  const name = `soak ${process.pid} ${counts.rounds} ${Math.random()}`
  const { ack, capacity } = kind
  const where = kind.place === 'file' ? { path: path.join(folder, 'queue') } : { persistent: kind.place === 'persistent' }
  const queue = kind.place === 'file' || kind.place === 'ticket' ? new Queue({ ack, capacity, ...where }) : new Queue(name, { ack, capacity, ...where })
  const stays = kind.place === 'file' || kind.place === 'persistent'
  const place = where.path ? `file:${where.path}` : kind.place === 'ticket' ? queue.ticket : name
  // Nobody but the victims: whenever all of them are dead, nobody uses it.
  if (stays) queue.close()
  const ledger = Ledger.create()
  const failed = failures.length
  const fail = failure => {
    if (failure.startsWith('corrupt')) counts.corrupt++
    if (failures.length < 20) failures.push(failure)
  }
  const victims = new Victims(counts, fail)
  const numbers = { produce: 0, consume: 1 }
  const start = (command, args, roles) => () => {
    if (roles.some(role => numbers[role] >= PEOPLE - 1)) return undefined
    const own = roles.map(role => String(numbers[role]++))
    return spawn(command, [...args, place, ledger.buffer.ticket, ...own], {
      stdio: ['ignore', command === process.execPath ? 'pipe' : 'ignore', 'pipe']
    })
  }
  const life = 60 + Math.random() * 300
  for (let i = 0; i < 3; i++) {
    victims.keep(start(rustVictim(), ['produce'], ['produce']), life)
    victims.keep(start(rustVictim(), ['consume'], ['consume']), life)
  }
  for (let i = 0; i < 2; i++) victims.keep(start(process.execPath, [worker, String(ack)], ['produce', 'consume']), 3 * life)
  const massacre = stays || Math.random() < 0.3 ? setInterval(() => victims.killAll(), 1500 + Math.random() * 2000) : undefined
  const before = ledger.progress
  const live = setInterval(() => { counts.going = ledger.progress - before }, 500)
  if (!await watch({ until, progress: () => ledger.progress, victims, life })) {
    counts.stalls++
    fail(`stall: no message for ${STALL_MS / 1000} seconds, although nobody was killed or stopped`)
  }
  clearInterval(massacre)
  clearInterval(live)
  delete counts.going
  await victims.end()
  const last = stays ? new Queue(where.path ? { ...where, create: false } : name, where.path ? undefined : { create: false }) : queue
  await drain(last, ledger, fail)
  const found = ledger.compare(ack, last.stats().received)
  counts.messages += found.messages
  counts.handed += found.handed
  counts.lost += found.lost
  if (found.lost > 0) fail(`lost: ${found.lost} messages`)
  if (found.uncounted > 0) fail(`lost: the count of what was handed over is wrong by ${found.uncounted} messages`)
  if (found.invented > 0) fail(`corrupt: ${found.invented} messages that nobody sent`)
  if (failures.length === failed && last.stats().used !== 0) fail(`corrupt: ${last.stats().used} bytes are in use by no message`)
  last.close()
  if (kind.place === 'persistent') remove(name)
  fs.rmSync(folder, { recursive: true })
}

/** What is left: this process is the last consumer. It comes after all producers and consumers in the ledger. */
async function drain (queue, ledger, fail) {
  // Twice what it takes to see that someone is dead.
  for (let quiet = Date.now(); Date.now() - quiet < 600;) {
    const message = queue.receiveSync({ timeout: 100 })
    if (message === undefined) continue
    quiet = Date.now()
    const wrong = note(ledger, PEOPLE - 1, message)
    if (wrong !== undefined) fail(wrong)
  }
}
