'use strict'

// Somebody writes to the file of a large message that was received, against all agreement, while this process calls every method that
// makes text of it. Through a plain Buffer over the same memory that ends by SIGSEGV or a broken heap; `node queue-text.js plain` shows it.
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { Queue } = require('interproc')
const { readAsText, scribble } = require('../fixtures/scribble')

/** So many bytes are received by reference. */
const LARGE = 8 * 1024 * 1024
const SIZE = 64 * 1024
const SECONDS = Number(process.env.SECONDS ?? 4)

if (process.argv[2] === 'write') write(process.argv[3])
else main(process.argv[2] === 'plain')

async function main (plain) {
  const queue = new Queue()
  await queue.send(Buffer.alloc(LARGE, 'x'))
  const message = await queue.receive()
  const [, place, id] = /^interproc:\w+:([0-9a-f]{32}):([0-9a-f]{32})/.exec(queue.ticket)
  const part = fs.readdirSync('/dev/shm').find(name => name.includes(place) && name.includes(`${id.slice(0, 16)}.part-`))
  const writer = spawn(process.execPath, [__filename, 'write', path.join('/dev/shm', part)], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => writer.stdout.once('data', resolve))
  try {
    const bytes = plain ? Buffer.from(message.buffer, message.byteOffset, LARGE) : message
    const seen = new Set()
    const rounds = readAsText(SECONDS, bytes.subarray(0, SIZE))
    for (let i = 0; i < 1000 && seen.size < 2; i++) {
      seen.add(bytes[100])
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
    assert(rounds > 0)
    console.log(`read ${rounds} times ${seen.size > 1 ? 'while it was written' : '(a copy)'}`)
  } finally {
    writer.kill('SIGKILL')
    queue.close()
  }
}

function write (file) {
  const to = fs.openSync(file, 'r+')
  scribble((bytes, at) => fs.writeSync(to, bytes, 0, bytes.length, at))
}
