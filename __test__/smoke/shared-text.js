'use strict'

// A writer scribbles over a shared buffer, valid and broken UTF-8 of all lengths, while this process calls every method that makes text
// of it. Through a plain Buffer over the same memory that ends by SIGSEGV or a broken heap on every Node; `node shared-text.js plain`
// shows it.
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { SharedBuffer } = require('interproc')
const { readAsText, scribble } = require('../fixtures/scribble')

const SIZE = 64 * 1024
const SECONDS = Number(process.env.SECONDS ?? 4)

if (process.argv[2] === 'write') write(SharedBuffer.open(process.argv[3]))
else main(process.argv[2] === 'plain')

async function main (plain) {
  const shared = SharedBuffer.alloc(SIZE)
  const writer = spawn(process.execPath, [__filename, 'write', shared.ticket], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => writer.stdout.once('data', resolve))
  try {
    const reader = SharedBuffer.open(shared.ticket, { readOnly: true })
    const rounds = readAsText(SECONDS, plain ? Buffer.from(shared.buffer) : shared, reader)
    reader.close()
    assert(rounds > 0)
    console.log(`read ${rounds} times while it was written`)
  } finally {
    writer.kill('SIGKILL')
  }
}

function write (shared) { scribble((bytes, at) => shared.set(bytes, at)) }
