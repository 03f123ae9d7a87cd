'use strict'

// A shared buffer is one memory for two processes: a child adds to what the parent wrote, and the parent sees it.
const assert = require('node:assert')
const { spawnSync } = require('node:child_process')
const { SharedBuffer } = require('interproc')

const words = buffer => new Int32Array(buffer.buffer, buffer.byteOffset, 4)

if (process.argv[2] !== undefined) {
  const buffer = SharedBuffer.open(process.argv[2])
  assert.equal(buffer.toString('utf8', 16, 21), 'hello')
  Atomics.add(words(buffer), 1, 41)
  buffer.write('child', 16)
} else {
  const buffer = SharedBuffer.alloc(64)
  assert(Buffer.isBuffer(buffer))
  assert.equal(SharedBuffer.open(buffer.ticket), buffer)
  Atomics.store(words(buffer), 1, 1)
  buffer.write('hello', 16)
  const { status, stderr } = spawnSync(process.execPath, [__filename, buffer.ticket], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.equal(Atomics.load(words(buffer), 1), 42)
  assert.equal(buffer.toString('utf8', 16, 21), 'child')
  buffer.close()
  assert.equal(buffer.length, 0)
  console.log('two processes had one memory')
}
