'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { Queue } = require('../lib/queue')
const { SharedBuffer } = require('../lib/shared')
const { Topic } = require('../lib/topic')
const { randomName, segmentsNamed } = require('./fixtures/shared-support')

afterAll(() => expect(segmentsNamed()).toEqual([]))

function interproc (...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(__dirname, '../bin/interproc.js'), ...args], {
    encoding: 'utf8', timeout: 20_000
  })
  return { status, stdout, stderr }
}

test('interproc ls shows segments and their processes', () => {
  const name = `${randomName()}`
  const buffer = SharedBuffer.alloc(2048, { name })
  const line = interproc('ls').stdout.split('\n').find(each => each.includes(name))
  expect(line).toMatch(new RegExp(`^buffer +${name} +2 KiB +- +in use +${process.pid}$`))
  const found = JSON.parse(interproc('ls', '--json').stdout).find(info => info.name === name)
  expect(found).toMatchObject({ kind: 'buffer', size: 2048, health: 'in use', users: [{ pid: process.pid, alive: true }] })
  buffer.close()
  expect(interproc('ls', '--nothing')).toMatchObject({ status: 1, stderr: expect.stringContaining('--nothing') })
})

test('interproc ls shows topics', () => {
  const name = `${randomName()}`
  const topic = new Topic(name)
  const found = JSON.parse(interproc('ls', '--json').stdout).find(info => info.name === name)
  expect(found).toMatchObject({ kind: 'topic', health: 'in use', users: [{ pid: process.pid, alive: true }] })
  expect(interproc('ls').stdout.split('\n').find(each => each.includes(name))).toMatch(/^topic /)
  topic.close()
  expect(JSON.parse(interproc('ls', '--json').stdout).find(info => info.name === name)).toBeUndefined()
})

test('interproc ls shows what a queue without a name holds, and rm takes its ticket', () => {
  const queue = new Queue({ capacity: 64 * 1024 })
  queue.trySend('waiting')
  const found = () => JSON.parse(interproc('ls', '--json').stdout).find(info => info.ticket === queue.ticket)
  expect(found()).toMatchObject({ kind: 'queue', name: null, usage: { sent: 1, received: 0 } })
  expect(found().usage.used).toBeGreaterThan(0)
  expect(interproc('rm', queue.ticket)).toMatchObject({ status: 1, stderr: expect.stringContaining('is in use') })
  expect(interproc('rm', '--force', queue.ticket).status).toBe(0)
  expect(found()).toBeUndefined()
  queue.close()
})

test('a name cannot write to the terminal', () => {
  const buffer = SharedBuffer.alloc(1, { name: `\u001b[2J\n${randomName()}` })
  expect(interproc('ls').stdout).not.toContain('\u001b')
  buffer.close()
})

test('interproc rm removes what is unused, and by force what is used', () => {
  const name = randomName()
  const buffer = SharedBuffer.alloc(10, { name, persistent: true })
  expect(interproc('rm', name)).toMatchObject({ status: 1, stderr: expect.stringContaining('is in use') })
  expect(interproc('rm', '--force', name)).toEqual({ status: 0, stdout: '', stderr: '' })
  buffer.write('still ours')
  buffer.close()
  expect(interproc('rm', name)).toMatchObject({ status: 1, stderr: expect.stringContaining('ENOENT') })
  expect(interproc('rm')).toMatchObject({ status: 1, stderr: expect.stringContaining('Usage') })
})

test('interproc cleanup removes what a killed process left', () => {
  const name = randomName()
  const code = `globalThis.kept = require(${JSON.stringify(require.resolve('../lib/shared'))}).SharedBuffer.alloc(10, { name: ${JSON.stringify(name)} })
    process.kill(process.pid, 'SIGKILL')`
  expect(spawnSync(process.execPath, ['-e', code]).signal).toBe('SIGKILL')
  expect(interproc('cleanup')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Removed \d+ segments?, \d+ bytes\.\n$/) })
  expect(segmentsNamed()).toEqual([])
})
