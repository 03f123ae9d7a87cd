'use strict'

// A writer scribbles over a shared buffer, valid and broken UTF-8 of all lengths, while this process calls every method that makes text
// of it. Through a plain Buffer over the same memory that ends by SIGSEGV or a broken heap on every Node; `node shared-text.js plain`
// shows it.
const assert = require('node:assert')
const buffer = require('node:buffer')
const { spawn } = require('node:child_process')
const { StringDecoder } = require('node:string_decoder')
const util = require('node:util')
const { SharedBuffer } = require('interproc')

const SIZE = 64 * 1024
const SECONDS = Number(process.env.SECONDS ?? 4)

if (process.argv[2] === 'write') scribble(SharedBuffer.open(process.argv[3]))
else main(process.argv[2] === 'plain')

function scribble (shared) {
  const patterns = ['ab', 'ä', '€', '\u{1f600}'].map(text => Buffer.from(text.repeat(SIZE / Buffer.byteLength(text) | 0)))
  patterns.push(Buffer.alloc(SIZE, 0xff), Buffer.alloc(SIZE, 0xe2), Buffer.alloc(SIZE, 0))
  console.log('writing')
  const parent = process.ppid
  for (let i = 0; process.ppid === parent; i++) { // The reader may crash: that is what this is about.
    const bytes = patterns[i % patterns.length]
    const start = (i * 7919) % SIZE
    shared.set(bytes.subarray(0, SIZE - start), start)
    shared.set(bytes.subarray(0, start), 0)
  }
}

async function main (plain) {
  const shared = SharedBuffer.alloc(SIZE)
  const writer = spawn(process.execPath, [__filename, 'write', shared.ticket], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => writer.stdout.once('data', resolve))
  try {
    const rounds = read(plain ? Buffer.from(shared.buffer) : shared, shared)
    assert(rounds > 0)
    console.log(`read ${rounds} times while it was written`)
  } finally {
    writer.kill('SIGKILL')
  }
}

function read (whole, shared) {
  const reader = SharedBuffer.open(shared.ticket, { readOnly: true })
  const encodings = ['utf8', 'latin1', 'ucs2', 'hex', 'base64', 'base64url', 'ascii']
  const slices = Object.keys(Object.getOwnPropertyDescriptors(Buffer.prototype)).filter(name => name.endsWith('Slice'))
  const own = ['toHex', 'toBase64', 'toLocaleString', 'toString', 'join'].filter(name => typeof whole[name] === 'function')
  const end = Date.now() + SECONDS * 1000
  let rounds = 0
  for (; Date.now() < end; rounds++) {
    // Short and long, so that both the stack's and the heap's copies are tried.
    for (const bytes of [whole, whole.subarray(rounds % 100, rounds % 100 + 300), whole.subarray(1, 20_001), reader]) {
      for (const encoding of encodings) bytes.toString(encoding)
      for (const name of slices) bytes[name](0, bytes.length)
      for (const name of own) bytes[name]()
      void `${bytes}`
      util.inspect(bytes)
      for (const label of ['utf-8', 'utf-16le', 'latin1']) new TextDecoder(label).decode(bytes)
      const decoder = new StringDecoder('utf8')
      decoder.write(bytes)
      decoder.end(bytes)
      // What makes no text, but looks at it.
      bytes.indexOf('\u{1f600}')
      bytes.includes('ä€')
      bytes.lastIndexOf('€')
      buffer.isUtf8?.(bytes)
      buffer.isAscii?.(bytes)
      for (const [from, to] of [['utf8', 'ucs2'], ['utf8', 'latin1'], ['ucs2', 'utf8'], ['latin1', 'ucs2']]) {
        try {
          buffer.transcode?.(bytes, from, to)
        } catch { /* What is no valid text is refused. */ }
      }
    }
  }
  reader.close()
  return rounds
}
