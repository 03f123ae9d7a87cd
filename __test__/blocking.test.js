'use strict'

// Calls that block the thread: a worker in one can be ended, and a process with such a worker too, as with Atomics.wait.

const { randomUUID } = require('node:crypto')
const vm = require('node:vm')
const { spawn } = require('node:child_process')

const LIB = JSON.stringify(require.resolve('..'))
const FULL = "const queue = new Queue({ capacity: 4096 }); while (queue.trySend('x'.repeat(50))) continue;"
const CALLS = {
  'queue.receiveSync()': 'const queue = new Queue(); ready(); queue.receiveSync()',
  'queue.receiveSync({ timeout })': 'const queue = new Queue(); ready(); queue.receiveSync({ timeout: 1e6 })',
  'queue.receiveSync({ spin })': 'const queue = new Queue(); ready(); queue.receiveSync({ spin: 1e6 })',
  'queue.sendSync()': `${FULL} ready(); queue.sendSync('x'.repeat(50))`,
  'queue.sendSync() of a loan': `${FULL} const loan = queue.alloc(1e6); ready(); queue.sendSync(loan)`,
  'topic.publishSync()': `const topic = new Topic({ capacity: 4096 }); const slow = topic.subscribe()
    while (topic.tryPublish('x'.repeat(50))) continue
    ready(); topic.publishSync('x'.repeat(50))`,
  'locks.acquireSync()': 'const x = randomUUID(); locks.acquireSync(x); ready(); locks.acquireSync(x)',
  'locks.acquireSync({ timeout })': 'const x = randomUUID(); locks.acquireSync(x); ready(); locks.acquireSync(x, { timeout: 1e6 })',
  'semaphore.acquireSync()': 'const one = new Semaphore(randomUUID(), 1); one.acquireSync(); ready(); one.acquireSync()',
  'wait()': 'const words = new Int32Array(SharedBuffer.alloc(8).buffer); ready(); wait(words, 0, 0)',
  'subscription.receiveSync()': 'const all = new Topic().subscribe(); ready(); all.receiveSync()'
}

const ENDS = {
  'worker.terminate()': 'worker.terminate().then(() => console.log("ended"))',
  'process.exit()': 'console.log("ended"); process.exit()'
}

const CASES = Object.entries(CALLS).flatMap(([call, code]) => Object.entries(ENDS).map(([end, ending]) => [end, call, code, ending]))

test.each(CASES)('%s ends a worker that is blocked in %s', async (_end, _call, code, ending) => {
  const worker = `const { Queue, Topic, SharedBuffer, Semaphore, locks, wait } = require(${LIB})
    const { randomUUID } = require('node:crypto')
    const ready = () => require('node:worker_threads').parentPort.postMessage('ready')
    ${code}`
  const program = `const { Worker } = require('node:worker_threads')
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true })
    worker.on('message', () => setTimeout(() => { ${ending} }, 150))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000, killSignal: 'SIGKILL' })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => { text += chunk })
  const [code_, signal] = await new Promise(resolve => child.on('close', (...how) => resolve(how)))
  expect([code_, signal, text]).toEqual([0, null, 'ended\n'])
})

test('a wait that is longer than one stay in native code takes its whole time', () => {
  const { Queue, SharedBuffer, Semaphore, locks, wait } = require('..')
  const queue = new Queue()
  const words = new Int32Array(SharedBuffer.alloc(8).buffer)
  const semaphore = new Semaphore(randomUUID(), 1)
  const held = [locks.acquireSync(semaphore.name), semaphore.acquireSync()]
  const whole = call => {
    const begun = performance.now()
    const result = call()
    expect(performance.now() - begun).toBeGreaterThan(349)
    return result
  }
  expect(whole(() => queue.receiveSync({ timeout: 350 }))).toBeUndefined()
  expect(whole(() => locks.acquireSync(semaphore.name, { timeout: 350 }))).toBe(null)
  expect(whole(() => semaphore.acquireSync({ timeout: 350 }))).toBe(null)
  expect(whole(() => wait(words, 0, 0, 350))).toBe('timed-out')
  for (const each of held) each.release()
  queue.close()
})

test('a lock that V8 ended the waiting for goes to the next', async () => {
  const { locks } = require('..')
  const x = randomUUID()
  const held = locks.acquireSync(x)
  const end = { timeout: 250 }
  expect(() => vm.runInNewContext('locks.acquireSync(x)', { locks, x }, end)).toThrow(expect.objectContaining({ code: 'ERR_SCRIPT_EXECUTION_TIMEOUT' }))
  const next = locks.acquire(x)
  held.release()
  const lock = await next
  expect(lock.release()).toBe(true)
  const { held: all, pending } = await locks.query()
  expect([...all, ...pending].filter(({ name }) => name === x)).toEqual([])
})
