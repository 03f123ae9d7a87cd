'use strict'

// Queues in files: what stays there, and what a power cut leaves.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Queue } = require('..')
const { worker } = require('./fixtures/queue-support')

let folder
beforeEach(() => { folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interproc-queue-')) })
afterEach(() => fs.rmSync(folder, { recursive: true }))

test('what was not received stays, and nothing else does', async () => {
  const file = path.join(folder, 'jobs')
  const first = new Queue({ path: file, capacity: 4096 })
  expect(first).toMatchObject({ path: file, restored: null, ticket: null, name: null })
  const large = Buffer.alloc(100_000, 1)
  await first.sendMany(['a', { b: 1 }, large])
  expect(await first.receive()).toBe('a')
  first.close()
  const second = new Queue({ path: file })
  expect(second.restored).toEqual({ messages: 2, dropped: 0, droppedBytes: 0 })
  const beside = new Queue({ path: file })
  expect(beside.restored).toBe(null)
  beside.close()
  expect(await second.receive()).toEqual({ b: 1 })
  expect((await second.receive()).equals(large)).toBe(true)
  second.close()
  expect(fs.readdirSync(folder)).toEqual(['jobs'])
})

test('what did not reach the disk whole is told and left out', async () => {
  const file = path.join(folder, 'jobs')
  const first = new Queue({ path: file, capacity: 4096 })
  await first.sendMany(['gone'])
  await first.send('next')
  await first.flush()
  first.close()
  await expect(first.flush()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' })
  const bytes = fs.readFileSync(file)
  bytes[bytes.indexOf('gone')] ^= 1
  fs.writeFileSync(file, bytes)
  const second = new Queue({ path: file })
  expect(second.restored).toEqual({ messages: 1, dropped: 1, droppedBytes: 64 })
  expect(await second.receive()).toBe('next')
  await second.send('more')
  expect(await second.receive()).toBe('more')
  second.close()
  const third = new Queue({ path: file })
  expect(third.restored).toEqual({ messages: 0, dropped: 0, droppedBytes: 0 })
  third.close()
})

test('damage while it is in use is an error of receive, once', async () => {
  const file = path.join(folder, 'jobs')
  const queue = new Queue({ path: file, capacity: 4096 })
  await queue.send('gone')
  await queue.send('next')
  const bytes = fs.readFileSync(file)
  const open = fs.openSync(file, 'r+')
  fs.writeSync(open, 'G', bytes.indexOf('gone'))
  fs.closeSync(open)
  const found = []
  for (let i = 0; i < 2; i++) found.push(await queue.receive().catch(({ code }) => code))
  expect(found.sort()).toEqual(['ERR_QUEUE_DAMAGED', 'next'])
  queue.close()
})

test("damage that no call can pass by ends a 'message' listener: no endless loop", async () => {
  const file = path.join(folder, 'jobs')
  const queue = new Queue({ path: file, capacity: 4096 })
  await queue.send('first')
  // All of it but the segment's own page: no word makes sense any more.
  const size = fs.statSync(file).size
  const open = fs.openSync(file, 'r+')
  fs.writeSync(open, Buffer.alloc(size - 4096, 0xff), 0, size - 4096, 4096)
  fs.closeSync(open)
  const codes = []
  queue.on('error', ({ code }) => codes.push(code))
  queue.on('message', () => codes.push('message'))
  await new Promise(resolve => queue.on('close', resolve))
  await new Promise(resolve => setImmediate(resolve))
  expect(queue.closed).toBe(true)
  expect(codes).toEqual(Array(64).fill('ERR_QUEUE_DAMAGED'))
})

test('killing all users is no power cut: what they had received does not come again', async () => {
  const file = path.join(folder, 'jobs')
  const queue = new Queue({ path: file, capacity: 4096 })
  await queue.sendMany(Array.from({ length: 20 }, (_, i) => `job ${i}`))
  // It has one message out of a batch, and never returns to the event loop.
  const receiver = worker('stick', '', { path: file })
  expect(await receiver.line()).toBe('job 0')
  queue.close()
  receiver.child.kill('SIGKILL')
  expect(await receiver.end).toBe('SIGKILL')
  const next = new Queue({ path: file })
  expect(next.restored).toEqual({ messages: 19, dropped: 0, droppedBytes: 0 })
  expect(await next.receiveMany()).toEqual(Array.from({ length: 19 }, (_, i) => `job ${i + 1}`))
  next.close()
})

test('a copy is opened as after a power cut', async () => {
  const file = path.join(folder, 'jobs')
  const queue = new Queue({ path: file, capacity: 4096 })
  await queue.sendMany(['a', 'b', 'c'])
  expect(await queue.receive()).toBe('a')
  fs.copyFileSync(file, `${file}.copy`)
  const copy = new Queue({ path: `${file}.copy` })
  expect(copy.restored.dropped).toBe(0)
  expect(await copy.receiveMany()).toEqual(expect.arrayContaining(['b', 'c']))
  copy.close()
  queue.close()
})

test('a relative path means the folder that the process was in when it opened the queue', () => {
  const [from, to] = ['from', 'to'].map(name => path.join(folder, name))
  for (const one of [from, to]) fs.mkdirSync(one)
  const program = path.join(__dirname, 'fixtures', 'queue-chdir.js')
  const { stdout, stderr } = spawnSync(process.execPath, [program, from, to], { encoding: 'utf8', timeout: 20_000 })
  const file = path.join(fs.realpathSync(from), 'x.queue')
  expect(stdout + stderr).toBe(`${file}\n`)
  expect(fs.readdirSync(to)).toEqual([])
  const queue = new Queue({ path: file, create: false })
  expect([queue.tryReceive(), queue.tryReceive()]).toEqual(['small', Buffer.alloc(100_000, 1)])
  queue.close()
})
