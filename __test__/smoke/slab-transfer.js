'use strict'

// Received messages share memory. Who transfers that of one gets an error or a clone, and the others stay as they are.
const assert = require('node:assert')
const { Queue } = require('interproc')

const queue = new Queue()
for (let i = 0; i < 600; i++) assert(queue.trySend(Buffer.from(`message ${i}`)))
const received = []
for (let i = 0; i < 600; i++) {
  received.push(queue.tryReceive())
  if (i % 100 === 50) transfer(received[i])
}
received.forEach((bytes, i) => assert.strictEqual(String(bytes), `message ${i}`))
assert.strictEqual(queue.tryReceive(), undefined)
queue.close()

/** @param {Buffer} bytes */
function transfer (bytes) {
  try {
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    console.log('cloned')
  } catch (error) {
    console.log(error.name)
  }
}
