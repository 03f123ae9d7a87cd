'use strict'

/** A program that produces and consumes, by one of the ways that there are, until it is killed: see ../queue.js. */

const body = require('./body')
const { EACH, Ledger } = require('./ledger')
const { Inbox, NOTHING } = require('../../../lib/queue/inbox')

module.exports = { note }

/**
 * Notes a message that was received, and acknowledges it where that is done.
 * @returns {string | undefined} what is wrong with it
 */
function note (ledger, own, message) {
  const ack = message.ack !== undefined
  const bytes = ack ? message.data : message
  const found = body.read(bytes)
  if (found === undefined) return `corrupt: ${bytes.length} bytes, ${bytes.subarray(0, 40).toString('hex')}`
  const wrong = ledger.see(own, found.producer, found.number, ack)
  if (wrong !== undefined || !ack) return wrong
  if (Math.random() < 0.05 && message.release()) return
  ledger.acknowledging(found.producer, found.number)
  if (!message.ack()) return `twice: message ${found.number} of ${found.producer} was taken from its holder`
  return ledger.acknowledged(found.producer, found.number)
}

/** @param {string[]} args */
async function work ([ack, place, ticket, producer, consumer]) {
  const { Queue } = require('../../../lib')
  const queue = place.startsWith('file:') ? new Queue({ path: place.slice(5), create: false }) : new Queue(place, { create: false })
  const ledger = Ledger.open(ticket)
  process.stdout.write('ready\n')
  const fail = error => {
    process.stderr.write(`${typeof error === 'string' ? error : error.stack}\n`)
    process.exit(1)
  }
  const noted = message => {
    const wrong = note(ledger, Number(consumer), message)
    if (wrong !== undefined) fail(wrong)
  }
  askWhereTaken(ledger, Number(consumer))
  // What is shown in place cannot be acknowledged.
  const ways = CONSUMERS.filter(way => ack === 'false' || way !== drain)
  const way = ways[Math.floor(Math.random() * ways.length)]
  way(queue, noted, count => ledger.ask(Number(consumer), count)).catch(fail)
  produce(queue, ledger, Number(producer)).catch(fail)
}

/**
 * Who waits has been handed nothing: the ledger is told where messages are taken out of the lease, as all but `drain` do.
 * @param {InstanceType<typeof Ledger>} ledger
 * @param {number} own
 */
function askWhereTaken (ledger, own) {
  const { take, takeMany } = Inbox.prototype
  Inbox.prototype.take = function () {
    ledger.ask(own, 1)
    const value = take.call(this)
    if (value === NOTHING) ledger.ask(own, 0)
    return value
  }
  Inbox.prototype.takeMany = function (most) {
    ledger.ask(own, most)
    const values = takeMany.call(this, most)
    ledger.ask(own, values.length)
    return values
  }
}

async function produce (queue, ledger, own) {
  for (let next = 0; next < EACH;) {
    const count = Math.min(Math.random() < 0.3 ? 1 + Math.floor(Math.random() * 100) : 1, EACH - next)
    const bodies = Array.from({ length: count }, (_, i) => body.make(own, next + i, body.lengthOf()))
    ledger.begin(own, next + count)
    if (count > 1) await queue.sendMany(bodies)
    else if (Math.random() < 0.3) while (!queue.sendSync(bodies[0], { timeout: 20 })) await tick()
    else if (Math.random() < 0.3) while (!queue.trySend(bodies[0])) await tick()
    else await queue.send(bodies[0])
    next += count
    ledger.sent(own, next)
  }
}

async function receive (queue, noted) {
  for (;;) {
    noted(await queue.receive())
    if (Math.random() < 0.01) await tick()
  }
}

async function receiveMany (queue, noted) {
  for (;;) {
    for (const message of await queue.receiveMany(1 + Math.floor(Math.random() * 50))) noted(message)
  }
}

async function iterate (queue, noted) {
  for await (const message of queue) noted(message)
}

async function listen (queue, noted) {
  queue.on('message', noted)
}

async function receiveSync (queue, noted) {
  for (;;) {
    const message = queue.receiveSync({ timeout: 20 })
    if (message !== undefined) noted(message)
    if (message === undefined || Math.random() < 0.1) await tick()
  }
}

async function drain (queue, noted, ask) {
  for (;;) {
    ask(1)
    const count = queue.drain(view => {
      noted(view.toBuffer())
      ask(1)
    }, { max: 200 })
    ask(0)
    await tick(count === 0 ? 5 : 0)
  }
}

const CONSUMERS = [receive, receiveMany, iterate, listen, receiveSync, drain]

function tick (ms = 0) { return new Promise(resolve => ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve)) }

if (require.main === module) work(process.argv.slice(2))
