'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { Queue } = require('..')
const { worker } = require('./fixtures/queue-support')
const { onlyIf } = require('./fixtures/only-if')

const open = []
const make = (...args) => {
  const queue = new Queue(...args)
  open.push(queue)
  return queue
}
afterEach(() => open.splice(0).forEach(queue => queue.close()))

test('messages cross to another process and back', async () => {
  const [there, back] = [make(), make()]
  const { end } = worker('echo', there.ticket, { back: back.ticket })
  for (const value of ['text', { value: [1, 2] }, 'x'.repeat(100_000)]) {
    await there.send(value)
    expect(await back.receive()).toEqual(value)
  }
  await there.send('end')
  expect(await end).toBe(0)
})

// Nothing is closed then, and nothing dropped.
test.each(['process.exit(0)', 'setTimeout(() => { throw new Error() })', 'queue.unref()'])('what a receiver has that ends by %s goes to another', async end => {
  for (const ack of [true, false]) {
    const queue = make({ ack })
    await queue.sendMany(['first', 'second', 'third'])
    // It fetches all, and one of them is handed to it.
    const code = `const queue = new Queue('${queue.ticket}'); queue.tryReceive(); queue.tryReceive(); ${end}`
    await once(spawn(process.execPath, ['-e', `const { Queue } = require('${path.join(__dirname, '..')}'); ${code}`]), 'exit')
    const rest = []
    for (let message; (message = queue.receiveSync({ timeout: 300 })) !== undefined;) {
      rest.push(ack ? message.data : message)
      if (ack) message.ack()
    }
    expect(rest.sort()).toEqual(ack ? ['first', 'second', 'third'] : ['third'])
    expect(queue.stats().used).toBe(0)
  }
})

describe('waiting in the event loop', () => {
  // How often a process was put to sleep so far (proc(5)).
  const sleeps = pid => Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1])

  test.each([[0, 2000], [50, 20_000]])('with %i microseconds of looking, every message wakes its receiver', async (spin, count) => {
    const [there, back] = [make({ spin }), make({ spin })]
    const { end } = worker('answer', there.ticket, { back: back.ticket, queue: { spin } })
    for (let i = 0; i < count; i++) {
      await there.send(i)
      expect(await back.receive()).toBe(i)
    }
    await there.send('end')
    expect(await end).toBe(0)
  }, 60_000)

  test('timers and I/O have their turn while it looks', async () => {
    const queue = make({ spin: 1000 })
    const other = new Queue(queue.ticket, { spin: 1000 })
    open.push(other)
    let [ticks, messages, reads, over] = [0, 0, 0, false]
    const timer = setInterval(() => ticks++, 1)
    const reading = (async () => {
      for (; !over; reads++) await fs.promises.stat(__filename)
    })()
    const receiving = (async () => {
      for await (const message of other) {
        messages++
        if (message === 'end') return
      }
    })()
    // Who has no turn hangs here.
    while (ticks < 20 || messages < 20 || reads < 20) {
      await queue.send(ticks)
      await new Promise(resolve => setImmediate(resolve))
    }
    over = true
    await queue.send('end')
    await Promise.all([receiving, reading])
    clearInterval(timer)
  })

  const linux = onlyIf(process.platform === 'linux', 'it is about Linux')
  linux('an idle receiver sleeps', async () => {
    const queue = make()
    const listener = worker('listen', queue.ticket, { queue: { spin: 1000 } })
    await listener.line()
    for (let i = 0; i < 200; i++) {
      await queue.send(i)
      await listener.line()
    }
    const cpu = () => Number(fs.readFileSync(`/proc/${listener.pid}/stat`, 'utf8').split(' ')[13])
    const [before, slept] = [cpu(), sleeps(listener.pid)]
    await new Promise(resolve => setTimeout(resolve, 1000))
    // Hundredths of a second: who looks all the time uses a hundred.
    expect(cpu() - before).toBeLessThan(50)
    expect(sleeps(listener.pid)).toBeGreaterThan(slept)
    await queue.send('end')
    expect(await listener.end).toBe(0)
  })
})

test('several senders, each in order', async () => {
  const queue = make({ capacity: 4096 })
  const count = 400
  const senders = [1, 2, 3].map(() => worker('send', queue.ticket, { count }))
  const next = new Map(senders.map(({ pid }) => [pid, 0]))
  for (let i = 0; i < count * 3; i++) {
    const message = await queue.receive()
    expect(message.i).toBe(next.get(message.from))
    next.set(message.from, message.i + 1)
  }
  for (const { end } of senders) expect(await end).toBe(0)
})

test("'message' listeners in another process", async () => {
  const queue = make()
  const listener = worker('listen', queue.ticket)
  await listener.line()
  await queue.send({ a: 1 })
  expect(await listener.line()).toBe('{"a":1}')
  await queue.sendMany(['b', 'end'])
  expect([await listener.line(), await listener.line()]).toEqual(['"b"', '"end"'])
  expect(await listener.end).toBe(0)
})

describe('kill -9', () => {
  test('an unacknowledged message goes to another receiver', async () => {
    const queue = make({ ack: true })
    await queue.sendMany(['first', 'second'])
    const holder = worker('hold', queue.ticket)
    expect(await holder.line()).toBe('"first"')
    holder.child.kill('SIGKILL')
    await holder.end
    const messages = [await queue.receive(), await queue.receive()]
    expect(messages.map(({ data }) => data).sort()).toEqual(['first', 'second'])
    expect(messages.find(({ data }) => data === 'first').redelivered).toBe(true)
    messages.forEach(message => message.ack())
    expect(queue.stats().used).toBe(0)
  })

  test('a receiver that waits gets it too, without another call', async () => {
    const queue = make({ ack: true })
    const holder = worker('hold', queue.ticket)
    await queue.send('only')
    expect(await holder.line()).toBe('"only"')
    const waiting = queue.receive()
    holder.child.kill('SIGKILL')
    const message = await waiting
    expect(message.data).toBe('only')
    message.ack()
  })

  test('of a batch, what the application did not see comes back, and nothing else', async () => {
    const queue = make()
    await queue.sendMany(['seen', 'b', 'c'])
    const stuck = worker('stick', queue.ticket)
    expect(await stuck.line()).toBe('seen')
    stuck.child.kill('SIGKILL')
    await stuck.end
    expect(await queue.receive()).toBe('b')
    expect(await queue.receive()).toBe('c')
    expect(queue.tryReceive()).toBeUndefined()
  })

  test('a stopped receiver is not robbed', async () => {
    const queue = make({ ack: true })
    await queue.send('mine')
    const holder = worker('hold', queue.ticket)
    expect(await holder.line()).toBe('"mine"')
    holder.child.kill('SIGSTOP')
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 1000)
    await expect(queue.receive({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    holder.child.kill('SIGKILL')
    const message = await queue.receive()
    expect(message.data).toBe('mine')
    message.ack()
  })
})

describe('what keeps a process alive', () => {
  test('a pending receive', async () => {
    const queue = make()
    const waiter = worker('wait', queue.ticket)
    expect(await waiter.line()).toBe('waiting')
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(waiter.child.exitCode).toBe(null)
    await queue.send('now')
    expect(await waiter.line()).toBe('"now"')
    expect(await waiter.end).toBe(0)
  })

  test('not an open queue, and not one that is not referenced', async () => {
    const queue = make()
    expect(await worker('idle', queue.ticket).end).toBe(0)
    expect(await worker('wait', queue.ticket, { unref: true }).end).toBe(0)
  })
})

test('worker threads: blocking calls, and terminating one that has a message', async () => {
  const [there, back] = [make({ ack: true }), make()]
  const code = `
    const { workerData: [lib, there, back] } = require('node:worker_threads')
    const { Queue } = require(lib)
    const [from, to] = [new Queue(there), new Queue(back)]
    for (;;) {
      const message = from.receiveSync()
      if (message.data !== 'keep') message.ack()
      to.sendSync(message.data)
    }`
  const start = () => new Worker(code, { eval: true, workerData: [require.resolve('..'), there.ticket, back.ticket] })
  let thread = start()
  for (const value of [1, 'two', { three: 3 }, 'keep']) {
    await there.send(value)
    expect(await back.receive()).toEqual(value)
  }
  await there.send('last')
  expect(await back.receive()).toBe('last')
  // Blocked in native code.
  await thread.terminate()
  const messages = [await there.receive()]
  while (messages.at(-1).data !== 'keep') messages.push(await there.receive())
  messages.forEach(message => message.ack())
  thread = start()
  await there.send('again')
  expect(await back.receive()).toBe('again')
  await thread.terminate()
})
