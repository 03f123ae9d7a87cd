'use strict'

/**
 * Topics. Publishers number their messages; subscribers, reliable and lossy ones, check what they get. Both are killed and stopped at
 * random, in rounds, each with a topic of another size. Some subscribers live through a round and are only stopped.
 *
 * A reliable subscriber must get, of each publisher, every message from its subscription on, in order, none twice. A lossy one must get
 * some of them so, and `missed` must be those that it did not get. At the end of a round the publishers end, one reliable subscriber that
 * was there from before the first message says what there was, and all others that live compare that with what they got. Those who were
 * there before the first message know to the last one how many there were; for the others those are in doubt that were just being published
 * as they came.
 */

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { COMPARED, ENDING, PUBLISHERS, Roll, WITNESSED } = require('./support/roll')
const { rustVictim } = require('./support/rust')
const { Victims } = require('./support/victims')
const { STALL_MS, watch } = require('./support/watch')

const ROUND_MS = 8_000
const worker = path.join(__dirname, 'support', 'topic-worker.js')

module.exports = { soak }

/**
 * @param {number} seconds
 * @param {Record<string, number>} counts is counted up meanwhile
 */
async function soak (seconds, counts) {
  Object.assign(counts, { kills: 0, stops: 0, messages: 0, received: 0, missed: 0, lost: 0, corrupt: 0, stalls: 0, rounds: 0 })
  /** @type {string[]} */
  const failures = []
  const end = Date.now() + seconds * 1000
  do {
    const failed = failures.length
    const kind = anyKind()
    await round(kind, Math.min(end, Date.now() + ROUND_MS), counts, failures)
    counts.rounds++
    for (let i = failed; i < failures.length; i++) failures[i] += ` (${JSON.stringify(kind)})`
  } while (Date.now() < end - 1000 && failures.length < 20)
  return { ...counts, failures }
}

function anyKind () {
  const of = (...choices) => choices[Math.floor(Math.random() * choices.length)]
  return { capacity: of(512, 4096, 65_536, 65_536, 1 << 20), place: of('ticket', 'name') }
}

async function round ({ capacity, place }, until, counts, failures) {
  const { Topic } = require('../../lib')
  const name = `soak ${process.pid} ${counts.rounds} ${Math.random()}`
  const topic = place === 'ticket' ? new Topic({ capacity }) : new Topic(name, { capacity })
  const roll = Roll.create()
  const failed = failures.length
  const fail = failure => {
    if (failure.startsWith('corrupt')) counts.corrupt++
    if (failure.startsWith('lost')) counts.lost++
    if (failures.length < 20) failures.push(failure)
  }
  let over = false
  let numbers = 0
  const start = (command, ...args) => () => {
    if (over || numbers === PUBLISHERS) return undefined
    return spawn(command, [...args, place === 'ticket' ? topic.ticket : name, roll.buffer.ticket, String(numbers++)], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
  }
  const rust = role => start(rustVictim(), role)
  const node = role => start(process.execPath, worker, role)
  const [publishers, subscribers, witnesses] = [0, 1, 2].map(() => new Victims(counts, fail))
  const all = [publishers, subscribers, witnesses]
  const progress = () => roll.progress
  const gone = async (victims, what) => {
    all.forEach(some => some.calm())
    const patience = Date.now() + STALL_MS
    while (victims.size > 0 && Date.now() < patience) await new Promise(resolve => setTimeout(resolve, 20))
    if (victims.size === 0) return true
    counts.stalls++
    fail(`stall: ${victims.size} ${what} did not end within ${STALL_MS / 1000} seconds, although nobody was killed or stopped`)
    return false
  }

  await Promise.all([witnesses.keepAlive(rust('witness')), subscribers.keepAlive(rust('lossy')), subscribers.keepAlive(node('lossy')),
    subscribers.keepAlive(node('reliable'))])
  const life = 60 + Math.random() * 300
  for (let i = 0; i < 3; i++) publishers.keep(rust('publish'), life)
  publishers.keep(node('publish'), 3 * life)
  for (const role of ['reliable', 'lossy']) {
    for (let i = 0; i < 2; i++) subscribers.keep(rust(role), life)
    subscribers.keep(node(role), 3 * life)
  }
  const killAll = () => [publishers, subscribers].forEach(some => some.killAll())
  const massacre = Math.random() < 0.3 ? setInterval(killAll, 1500 + Math.random() * 2000) : undefined
  const live = setInterval(() => { counts.going = progress() }, 500)
  const victims = { calm: () => all.forEach(some => some.calm()), goOn: life => all.forEach(some => some.goOn(life)) }
  if (!await watch({ until, progress, victims, life })) {
    counts.stalls++
    fail(`stall: no message for ${STALL_MS / 1000} seconds, although nobody was killed or stopped`)
  }
  clearInterval(massacre)
  clearInterval(live)
  delete counts.going
  over = true
  roll.phase = ENDING
  if (await gone(publishers, 'publishers')) {
    roll.phase = WITNESSED
    if (await gone(witnesses, 'witnesses')) {
      roll.phase = COMPARED
      await gone(subscribers, 'subscribers')
    }
  }
  await Promise.all(all.map(some => some.end()))
  const { ended, missed, received } = roll.found
  counts.messages += roll.published().reduce((sum, count) => sum + count, 0)
  counts.received += received
  counts.missed += missed
  if (failures.length === failed) {
    if (ended < 4) fail(`lost: only ${ended} subscribers lived to the end`)
    const stats = topic.stats()
    if (stats.subscribers !== 0 || stats.used !== 0) fail(`corrupt: all are dead, and the topic has ${JSON.stringify(stats)}`)
  }
  const [, , hash] = topic.ticket.split(':')
  topic.close()
  roll.buffer.close()
  const left = fs.existsSync('/dev/shm') ? fs.readdirSync('/dev/shm').filter(file => file.includes(hash)) : []
  if (left.length > 0) fail(`corrupt: the topic left ${left}`)
}
