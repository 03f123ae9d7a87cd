'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')
const { Topic } = require('..')
const support = require('./fixtures/queue-support')

const worker = (role, topic, options) => support.worker(role, topic.ticket, options, 'topic-worker.js')

const open = []
const make = (...args) => {
  const topic = new Topic(...args)
  open.push(topic)
  return topic
}
afterEach(() => open.splice(0).forEach(one => one.close()))

/** Starts subscribers, and waits until they are. */
async function subscribers (count, topic, options) {
  const workers = Array.from({ length: count }, () => worker('count', topic, options))
  for (const { line } of workers) expect(await line()).toBe('subscribed')
  return workers
}

test('many processes get everything, from several publishers', async () => {
  const topic = make({ capacity: 65536 })
  const readers = await subscribers(4, topic)
  const publishers = [1, 7].map(batch => worker('publish', topic, { count: 3500, batch }))
  for (const { end } of publishers) expect(await end).toBe(0)
  await topic.publish('end')
  for (const { line, end } of readers) {
    expect(JSON.parse(await line())).toEqual({ received: 7000, gaps: 0, missed: 0 })
    expect(await end).toBe(0)
  }
})

test('slow lossy processes miss exactly what they did not get', async () => {
  const topic = make({ capacity: 8192 })
  const [quick] = await subscribers(1, topic)
  const [slow] = await subscribers(1, topic, { lossy: true, slow: 30 })
  const publisher = worker('publish', topic, { count: 20_000, batch: 50 })
  expect(await publisher.end).toBe(0)
  await topic.publish('end')
  expect(JSON.parse(await quick.line())).toEqual({ received: 20_000, gaps: 0, missed: 0 })
  const { received, gaps, missed } = JSON.parse(await slow.line())
  expect(received + missed).toBe(20_000)
  expect(missed).toBeGreaterThan(0)
  expect(gaps).toBeLessThanOrEqual(missed)
})

test("'message' listeners and blocking calls in another process", async () => {
  const topic = make()
  const others = [worker('listen', topic), worker('sync', topic)]
  for (const { line } of others) expect(await line()).toBe('subscribed')
  await topic.publish({ a: 1 })
  for (const { line } of others) expect(await line()).toBe('{"a":1}')
  await topic.publishMany(['b', 'end'])
  for (const { line, end } of others) {
    expect([await line(), await line()]).toEqual(['"b"', '"end"'])
    expect(await end).toBe(0)
  }
})

// Nothing is closed then, and nothing dropped.
test.each(['process.exit(0)', 'setTimeout(() => { throw new Error() })', 'topic.unref()'])('a subscriber that ends by %s holds nobody up', async end => {
  const topic = make({ capacity: 4096 })
  for (const lossy of [true, false]) {
    const code = `const topic = new Topic('${topic.ticket}'); topic.subscribe({ lossy: ${lossy} }); ${end}`
    await once(spawn(process.execPath, ['-e', `const { Topic } = require('${path.join(__dirname, '..')}'); ${code}`]), 'exit')
    expect(topic.stats()).toMatchObject({ subscribers: 0, lossy: 0 })
  }
  for (let i = 0; i < 200; i++) await topic.publish('x'.repeat(100))
})

describe('kill -9 and SIGSTOP', () => {
  test('a dead subscriber holds nobody up', async () => {
    const topic = make({ capacity: 4096 })
    const subscription = topic.subscribe()
    open.push(subscription)
    const holder = worker('hold', topic)
    expect(await holder.line()).toBe('subscribed')
    while (topic.tryPublish('x'));
    for (const message of await subscription.receiveMany()) expect(message).toBe('x')
    const waiting = topic.publishMany(Array(200).fill('y'))
    const receiving = (async () => { for (let got = 0; got < 200;) got += (await subscription.receiveMany()).length })()
    await sleep(100)
    expect(topic.stats().subscribers).toBe(2)
    holder.child.kill('SIGKILL')
    await waiting
    await receiving
    expect(topic.stats().subscribers).toBe(1)
    expect(topic.publishSync('z', { timeout: 5000 })).toBe(true)
  })

  test('a stopped one does, until it goes on', async () => {
    const topic = make({ capacity: 4096 })
    const [reader] = await subscribers(1, topic)
    reader.child.kill('SIGSTOP')
    await sleep(50)
    const messages = Array.from({ length: 2000 }, (_, i) => [1, i])
    await expect(topic.publishMany(messages.slice(0, 1000), { signal: AbortSignal.timeout(700) })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const sent = topic.stats().sent
    reader.child.kill('SIGCONT')
    await topic.publishMany(messages.slice(sent))
    await topic.publish('end')
    expect(JSON.parse(await reader.line())).toEqual({ received: 2000, gaps: 0, missed: 0 })
  })

  test('a stopped one holds large messages back before they fill the memory', async () => {
    const topic = make()
    const [reader] = await subscribers(1, topic)
    reader.child.kill('SIGSTOP')
    await sleep(50)
    const large = 'x'.repeat(2 * 1024 * 1024)
    let sent = 0
    while (sent < 40 && topic.tryPublish([1, sent, large])) sent++
    // Of 16 MiB, each with a few bytes more than 2 MiB.
    expect(sent).toBe(7)
    expect(topic.publishSync([1, sent, large], { timeout: 50 })).toBe(false)
    const waiting = [0, 1, 2].map(more => topic.publish([1, sent + more, large]))
    reader.child.kill('SIGCONT')
    await Promise.all(waiting)
    await topic.publish('end')
    expect(JSON.parse(await reader.line())).toEqual({ received: 10, gaps: 0, missed: 0 })
  })

  test('publishers and subscribers come and are killed; the others miss nothing', async () => {
    const topic = make({ capacity: 16384 })
    const subscription = topic.subscribe()
    const lossy = topic.subscribe({ lossy: true })
    open.push(subscription, lossy)
    const next = new Map()
    let received = 0
    subscription.on('message', message => {
      if (message === 'end') return subscription.emit('over')
      const [from, number] = message
      if (number !== (next.get(from) ?? 0)) throw new Error(`${number} of ${from} instead of ${next.get(from) ?? 0}`)
      next.set(from, number + 1)
      received++
    })
    for (let round = 0; round < 4; round++) {
      const victims = [
        worker('publish', topic, { batch: round % 2 ? 40 : 1 }), worker('count', topic), worker('count', topic, { lossy: true }), worker('hold', topic)
      ]
      await Promise.all(victims.map(({ line }) => line()))
      await sleep(Math.random() * 60)
      for (const { child, end } of victims.sort(() => Math.random() - 0.5)) {
        child.kill('SIGKILL')
        await end
      }
    }
    const over = once(subscription, 'over')
    await topic.publish('end')
    await over
    let kept = 0
    while (lossy.tryReceive() !== undefined) kept++
    // One more, for the end.
    expect(kept + lossy.missed).toBe(received + 1)
    expect(received).toBeGreaterThan(0)
    expect(topic.stats().subscribers).toBe(2)
  })
})

describe('what keeps a process alive', () => {
  test('a pending receive; not an open topic or subscription, and not one that is not referenced', async () => {
    const topic = make()
    const waiter = worker('wait', topic)
    expect(await waiter.line()).toBe('subscribed')
    await sleep(300)
    expect(waiter.child.exitCode).toBe(null)
    await topic.publish('now')
    expect(await waiter.line()).toBe('"now"')
    expect(await waiter.end).toBe(0)
    expect(await worker('wait', topic, { unref: true }).end).toBe(0)
  })
})

test('worker threads; one that is terminated holds nobody up', async () => {
  const topic = make({ capacity: 4096 })
  const code = `
    const { parentPort, workerData: [lib, ticket] } = require('node:worker_threads')
    const { Topic } = require(lib)
    const topic = new Topic(ticket)
    const subscription = topic.subscribe()
    parentPort.postMessage('subscribed')
    for (let message; (message = subscription.receiveSync()) !== 'stick';) parentPort.postMessage(message)
    parentPort.postMessage('sticks')
    setInterval(() => {}, 1000)`
  const threads = [1, 2].map(() => new Worker(code, { eval: true, workerData: [require.resolve('..'), topic.ticket] }))
  for (const thread of threads) open.push({ close: () => thread.terminate() })
  expect(await Promise.all(threads.map(thread => once(thread, 'message')))).toEqual([['subscribed'], ['subscribed']])
  for (const value of ['a', { b: 1 }]) {
    const both = Promise.all(threads.map(thread => once(thread, 'message')))
    await topic.publish(value)
    expect(await both).toEqual([[value], [value]])
  }
  const both = Promise.all(threads.map(thread => once(thread, 'message')))
  await topic.publish('stick')
  expect(await both).toEqual([['sticks'], ['sticks']])
  while (topic.tryPublish('x'));
  const waiting = topic.publish('y')
  for (const thread of threads) await thread.terminate()
  await waiting
})
