'use strict'

// interproc ls and top on queues, maps and locks. Segments alone: shared-cli.test.js.

const { execFile } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')
const { locks, Queue, SharedCounter, SharedMap } = require('../lib')
const { randomName, segmentsNamed } = require('./fixtures/shared-support')

afterAll(() => expect(segmentsNamed()).toEqual([]))

/** Not the blocking form: this process is what is looked at. */
async function interproc (...args) {
  const program = [path.join(__dirname, '../bin/interproc.js'), ...args]
  const result = await promisify(execFile)(process.execPath, program, { timeout: 20_000 }).catch(error => error)
  return { status: result.code ?? 0, stdout: result.stdout, stderr: result.stderr }
}

test('ls shows what queues, maps, locks and counters hold', async () => {
  const map = new SharedMap(randomName())
  map.set('a', 1).set('b', 2)
  const queue = new Queue(randomName())
  await queue.send('x'.repeat(100))
  const counter = new SharedCounter(randomName())
  const lock = await locks.acquire(randomName())
  const { status, stdout } = await interproc('ls', '--json')
  expect(status).toBe(0)
  const found = JSON.parse(stdout)
  const named = name => found.find(info => info.name === name)
  expect(named(map.name)).toMatchObject({ kind: 'map', usage: { entries: 2, holds: '2 entries' } })
  expect(named(queue.name)).toMatchObject({ kind: 'queue', usage: { sent: 1, received: 0, used: expect.any(Number) } })
  expect(named(queue.name).usage.used).toBeGreaterThan(100)
  expect(found.find(info => info.kind === 'locks').usage.held).toBeGreaterThan(0)
  expect(found.find(info => info.kind === 'counters').usage.entries).toBeGreaterThan(0)
  const lines = (await interproc('ls')).stdout.split('\n')
  expect(lines.find(line => line.includes(map.name))).toMatch(/2 entries +in use/)
  expect(counter.value).toBe(0n)
  lock.release()
  queue.close()
  map.close()
})

test.each(['ls', 'top', 'cleanup', 'rm', 'build'])('%s --help says what it is and does nothing, and an unknown option is refused', async name => {
  expect(await interproc(name, '--help')).toEqual({ status: 0, stdout: expect.stringMatching(`^interproc ${name}: .+\n$`), stderr: '' })
  expect(await interproc(name, '--nothing')).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('--nothing') })
})

test('who lists the counters is no user of them afterwards', async () => {
  const program = `const { SharedCounter } = require(${JSON.stringify(require.resolve('..'))})
    const { list } = require(${JSON.stringify(require.resolve('../lib/shared'))})
    const isUser = () => list().some(({ kind, users }) => kind === 'counters' && users.some(({ pid }) => pid === process.pid))
    SharedCounter.list()
    console.log(isUser())
    const counter = new SharedCounter(${JSON.stringify(randomName())})
    console.log(isUser(), SharedCounter.list().some(({ name }) => name === counter.name), isUser())`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program])
  expect(stdout).toBe('false\ntrue true true\n')
})

test('top shows rates, and ends after so many looks', async () => {
  const queue = new Queue(randomName())
  const timer = setInterval(() => { if (queue.trySend('x')) queue.tryReceive() }, 2)
  const { status, stdout } = await interproc('top', '--interval', '0.3', '--count', '3')
  clearInterval(timer)
  expect(status).toBe(0)
  const lines = stdout.split('\n').filter(line => line.includes(queue.name))
  expect(lines.length).toBe(3)
  const [, sent, received] = /(\d+) +(\d+) +\d+$/.exec(lines[2])
  expect([Number(sent) > 0, Number(received) > 0]).toEqual([true, true])
  expect(stdout).not.toContain('\x1b')
  queue.close()
  for (const bad of [['--interval', '0'], ['--count', 'x'], ['--nothing']]) {
    expect(await interproc('top', ...bad)).toMatchObject({ status: 1, stderr: expect.stringContaining('interproc top') })
  }
})
