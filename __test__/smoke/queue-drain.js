'use strict'

// What `drain` shows is the queue's own memory. A program that keeps it, or transfers it away, may do what it likes with it, while others
// write there and after the queue is closed: wrong bytes at worst. `node queue-drain.js plain` shows what a plain Buffer does.
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { Queue } = require('interproc')
const { readAsText, scribble } = require('../fixtures/scribble')

const SIZE = 64 * 1024
const MARK = 'the begin of a message that is kept'
const SECONDS = Number(process.env.SECONDS ?? 4)

if (process.argv[2] === 'write') write(process.argv[3], Number(process.argv[4]))
else main(process.argv[2] === 'plain')

async function main (plain) {
  const queue = new Queue({ capacity: 2 ** 20 })
  const kept = shown(queue, Buffer.alloc(SIZE, MARK))
  const place = queue.ticket.split(':')[2]
  const file = path.join('/dev/shm', fs.readdirSync('/dev/shm').find(name => name.endsWith(place)))
  const offset = fs.readFileSync(file).indexOf(MARK)
  const writer = spawn(process.execPath, [__filename, 'write', file, `${offset}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => writer.stdout.once('data', resolve))
  try {
    const rounds = readAsText(SECONDS, plain ? Buffer.from(kept.buffer, kept.byteOffset, SIZE) : kept)
    assert(rounds > 0)
    console.log(`read ${rounds} times while it was written`)
  } finally {
    writer.kill('SIGKILL')
    queue.close()
  }
  if (typeof ArrayBuffer.prototype.transfer === 'function') transferred()
}

function transferred () {
  const [small, large] = [new Queue(), new Queue({ ack: true })]
  const memories = [moved(small, 'hello'), moved(large, Buffer.alloc(9 * 2 ** 20, 7))]
  small.close()
  large.close()
  for (const memory of memories) new Uint8Array(memory).fill(1)
  console.log('transferred')

  /** The whole memory behind a message, in another ArrayBuffer. */
  function moved (queue, message) {
    let memory
    queue.trySend(message)
    queue.drain(view => { memory = view.subarray().buffer.transfer() })
    return memory
  }
}

/** The message, where it is. */
function shown (queue, message) {
  let kept
  queue.trySend(message)
  queue.drain(view => { kept = view.subarray() })
  return kept
}

function write (file, offset) {
  const to = fs.openSync(file, 'r+')
  scribble((bytes, at) => fs.writeSync(to, bytes, 0, bytes.length, offset + at))
}
