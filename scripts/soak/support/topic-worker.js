'use strict'

/** A program that publishes, or subscribes by one of the ways that there are, until it is killed or all is over: see ../topic.js. */

const body = require('./body')
const { COMPARED, ENDING, Reader, Roll } = require('./roll')

/** Without a message for so long, when nobody publishes, it looks whether that was all. It takes less to see that someone is dead. */
const QUIET_MS = 300

/** @param {string[]} args */
async function work ([role, place, ticket, number]) {
  const { Topic } = require('../../../lib')
  const topic = new Topic(place, { create: false })
  const roll = Roll.open(ticket)
  const ended = role === 'publish' ? publish(topic, roll, Number(number)) : subscribe(topic, roll, role === 'lossy')
  await ended.catch(fail)
  process.exit(0)
}

function fail (error) {
  process.stderr.write(`${typeof error === 'string' ? error : error.stack}\n`)
  process.exit(1)
}

async function publish (topic, roll, own) {
  process.stdout.write('publishing\n')
  for (let next = 0; roll.phase < ENDING;) {
    const count = Math.random() < 0.3 ? 1 + Math.floor(Math.random() * 100) : 1
    const bodies = Array.from({ length: count }, (_, i) => body.make(own, next + i, body.lengthOf()))
    roll.begin(own, next + count)
    if (count > 1) await topic.publishMany(bodies)
    else if (Math.random() < 0.3) while (!topic.publishSync(bodies[0], { timeout: 20 })) await tick()
    else if (Math.random() < 0.3) while (!topic.tryPublish(bodies[0])) await tick(1)
    else await topic.publish(bodies[0])
    next += count
    roll.sent(own, next)
  }
}

async function subscribe (topic, roll, lossy) {
  const reader = new Reader(roll, lossy)
  const subscription = topic.subscribe({ lossy })
  reader.subscribed()
  process.stdout.write('subscribed\n')
  let last = Date.now()
  const noted = bytes => {
    last = Date.now()
    const found = body.read(bytes)
    if (found === undefined) fail(`corrupt: ${bytes.length} bytes, ${bytes.subarray(0, 40).toString('hex')}`)
    const wrong = reader.see(found.producer, found.number) ?? reader.look(subscription.missed)
    if (wrong !== undefined) fail(wrong)
  }
  const way = WAYS[Math.floor(Math.random() * WAYS.length)]
  way(subscription, noted, lossy).catch(fail)
  while (roll.phase < COMPARED || Date.now() - last < QUIET_MS) await tick(50)
  // This process may just be slow.
  for (let message; (message = subscription.tryReceive()) !== undefined;) noted(message)
  const wrong = reader.compare(subscription.missed)
  if (wrong !== undefined) fail(wrong)
}

async function receive (subscription, noted, lossy) {
  for (;;) {
    noted(await subscription.receive())
    if (Math.random() < 0.01) await tick(lossy ? 3 : 0)
  }
}

async function receiveMany (subscription, noted, lossy) {
  for (;;) {
    for (const message of await subscription.receiveMany(1 + Math.floor(Math.random() * 50))) noted(message)
    if (lossy && Math.random() < 0.05) await tick(3)
  }
}

async function iterate (subscription, noted) {
  for await (const message of subscription) noted(message)
}

async function listen (subscription, noted) {
  subscription.on('message', noted)
}

async function receiveSync (subscription, noted) {
  for (;;) {
    const message = subscription.receiveSync({ timeout: 20 })
    if (message !== undefined) noted(message)
    if (message === undefined || Math.random() < 0.1) await tick()
  }
}

async function drain (subscription, noted) {
  for (;;) {
    const count = subscription.drain(view => noted(view.toBuffer()), { max: 200 })
    await tick(count === 0 ? 5 : 0)
  }
}

const WAYS = [receive, receiveMany, iterate, listen, receiveSync, drain]

function tick (ms = 0) { return new Promise(resolve => ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve)) }

work(process.argv.slice(2))
