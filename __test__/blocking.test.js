'use strict'

// Calls that block the thread: a worker in one can be ended, and a process with such a worker too, as with Atomics.wait.

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
  'subscription.receiveSync()': 'const all = new Topic().subscribe(); ready(); all.receiveSync()'
}

const ENDS = {
  'worker.terminate()': 'worker.terminate().then(() => console.log("ended"))',
  'process.exit()': 'console.log("ended"); process.exit()'
}

const CASES = Object.entries(CALLS).flatMap(([call, code]) => Object.entries(ENDS).map(([end, ending]) => [end, call, code, ending]))

test.each(CASES)('%s ends a worker that is blocked in %s', async (_end, _call, code, ending) => {
  const worker = `const { Queue, Topic } = require(${LIB})
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
  const { Queue } = require('..')
  const queue = new Queue()
  const begun = performance.now()
  expect(queue.receiveSync({ timeout: 350 })).toBeUndefined()
  expect(performance.now() - begun).toBeGreaterThan(349)
  queue.close()
})
