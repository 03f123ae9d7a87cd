'use strict'

/**
 * Producers number their messages, consumers tell what they saw, and this process kills (SIGKILL) and stops (SIGSTOP) them at random. Two
 * queues: one without acknowledgement (nothing may come twice, and what is lost is at most the message a killed consumer had just
 * been handed), one with (nothing may be lost). Every body is as long as it says and has its own pattern.
 */

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const PRODUCERS = 3
const CONSUMERS = 3
/** Without any progress for so long, something hangs. */
const STALL_MS = 20_000
const [, , role, ticket, journal, number] = process.argv

if (require.main === module) work()

module.exports = { soak }

/** @param {number} seconds */
async function soak (seconds) {
  const counts = { kills: 0, stops: 0, messages: 0, again: 0, inDoubt: 0 }
  const failures = []
  for (const ack of [false, true]) await soakOne(ack, seconds / 2, counts, failures)
  return { ...counts, failures }
}

async function soakOne (ack, seconds, counts, failures) {
  const { Queue } = require('../../lib')
  const queue = new Queue({ capacity: 256 * 1024, ack })
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interproc-soak-'))
  const running = new Map()
  const killed = new Set()
  let count = 0
  let ending = false
  const start = role => {
    const id = ++count
    // A file outlives its writer's kill: what was written is there.
    const child = spawn(process.execPath, [__filename, role, queue.ticket, path.join(folder, `${role}-${id}`), String(id)], {
      stdio: ['ignore', 'ignore', 'pipe']
    })
    let stderr = ''
    child.stderr.on('data', text => { stderr += text })
    running.set(child, role)
    child.on('exit', (code, signal) => {
      running.delete(child)
      if (signal === 'SIGKILL') killed.add(id)
      else if (code !== 0) failures.push(`${role} ended with ${code ?? signal}: ${stderr.slice(0, 300)}`)
      if (!ending && failures.length < 20) start(role)
    })
  }
  for (let i = 0; i < PRODUCERS; i++) start('produce')
  for (let i = 0; i < CONSUMERS; i++) start('consume')

  const deadline = Date.now() + seconds * 1000
  let progress = { bytes: -1, at: Date.now() }
  while (Date.now() < deadline && failures.length < 20) {
    await sleep(60 + Math.random() * 120)
    const children = [...running.keys()]
    const victim = children[Math.floor(Math.random() * children.length)]
    if (Math.random() < 0.2) {
      victim?.kill('SIGSTOP')
      counts.stops++
      setTimeout(() => victim?.kill('SIGCONT'), 150)
    } else if (victim?.kill('SIGKILL')) counts.kills++
    const bytes = sizes(folder)
    if (bytes !== progress.bytes) progress = { bytes, at: Date.now() }
    if (Date.now() - progress.at > STALL_MS) failures.push(`no message for ${STALL_MS / 1000} seconds`)
  }
  ending = true
  const ended = [...running.keys()].map(child => new Promise(resolve => child.on('exit', resolve)))
  for (const child of running.keys()) {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  }
  await Promise.all(ended)
  // What is left: this process is the last consumer.
  const left = path.join(folder, 'consume-0')
  const log = fs.openSync(left, 'w')
  for (;;) {
    const first = await Promise.race([queue.receive().catch(() => undefined), sleep(1500)])
    if (first === undefined) break
    note(log, first, ack)
  }
  fs.closeSync(log)
  queue.close()
  compare(folder, ack, counts, failures)
  fs.rmSync(folder, { recursive: true })
}

/** What was sent against what was seen. */
function compare (folder, ack, counts, failures) {
  const seen = new Map()
  const begun = new Map()
  const files = fs.readdirSync(folder)
  const lines = file => fs.readFileSync(path.join(folder, file), 'latin1').split('\n').slice(0, -1)
  for (const file of files.filter(file => file.startsWith('consume'))) {
    for (const line of lines(file)) {
      const [mark, key] = [line[0], line.slice(1)]
      if (mark === '!') failures.push(`corrupt: ${key}`)
      else if (mark === '+') begun.set(key, (begun.get(key) ?? 0) + 1)
      else seen.set(key, (seen.get(key) ?? 0) + 1)
    }
  }
  for (const [key, times] of seen) {
    if (times > 1) failures.push(`${ack ? 'acknowledged' : 'seen'} ${times} times: ${key}`)
  }
  let missing = 0
  for (const file of files.filter(file => file.startsWith('produce'))) {
    for (const key of lines(file)) {
      counts.messages++
      if (seen.has(key)) continue
      // With acknowledgement: acknowledged, but killed before it could say so. Else: handed over, but killed before it could write.
      if (!ack || begun.has(key)) missing++
      else failures.push(`lost: ${key}`)
    }
  }
  counts.inDoubt += missing
  if (missing > counts.kills) failures.push(`${missing} messages lost with only ${counts.kills} kills`)
  for (const [key, times] of begun) if (times > 1 && seen.has(key)) counts.again++
}

function work () {
  const { Queue } = require('../../lib')
  const queue = new Queue(ticket, { create: false })
  const log = fs.openSync(journal, 'a')
  if (role === 'produce') produce(queue, log).catch(fail)
  else consume(queue, log).catch(fail)
}

async function produce (queue, log) {
  for (let i = 0; ; i++) {
    if (i % 7 === 0) {
      const keys = Array.from({ length: 20 }, (_, j) => `${number}-${i}-${j}`)
      await queue.sendMany(keys.map(bodyOf))
      fs.writeSync(log, keys.map(key => `${key}\n`).join(''))
    } else {
      const key = `${number}-${i}`
      await queue.send(bodyOf(key))
      fs.writeSync(log, `${key}\n`)
    }
  }
}

async function consume (queue, log) {
  for (;;) {
    const message = await queue.receive()
    note(log, message, message.ack !== undefined)
    if (Math.random() < 0.01) await new Promise(resolve => setImmediate(resolve))
  }
}

/** Writes down a message that was received. */
function note (log, message, ack) {
  const body = ack ? message.data : message
  const key = keyOf(body)
  if (key === undefined) return fs.writeSync(log, `!${body.length} bytes, ${body.subarray(0, 40).toString('latin1')}\n`)
  if (!ack) return fs.writeSync(log, `=${key}\n`)
  fs.writeSync(log, `+${key}\n`)
  // `false` would be one that someone else has by now.
  fs.writeSync(log, message.ack() ? `=${key}\n` : `!robbed of ${key}\n`)
}

/** @param {string} key */
function bodyOf (key) {
  const head = Buffer.from(`${key} `)
  // Mostly small, sometimes of several slots, rarely beside the ring.
  const random = Math.random()
  const size = head.length + Math.floor(random < 0.9 ? random * 100 : random < 0.999 ? random * 2000 : 70_000)
  const body = Buffer.alloc(size, key)
  head.copy(body)
  return body
}

/** @param {Buffer} body */
function keyOf (body) {
  const end = body.subarray(0, 60).indexOf(' ')
  if (end < 0) return undefined
  const key = body.toString('latin1', 0, end)
  const expected = Buffer.alloc(body.length, key)
  Buffer.from(`${key} `).copy(expected)
  return expected.equals(body) ? key : undefined
}

function sizes (folder) {
  return fs.readdirSync(folder).filter(file => file.startsWith('consume'))
    .reduce((sum, file) => sum + fs.statSync(path.join(folder, file)).size, 0)
}

function sleep (ms) { return new Promise(resolve => setTimeout(resolve, ms)) }

/** @param {Error} error */
function fail (error) {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}
