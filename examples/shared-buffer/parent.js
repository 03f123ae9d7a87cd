'use strict'

// Gives a child a buffer, and finds in it what the child wrote: no byte of it was sent.
const assert = require('node:assert')
const { fork, SharedBuffer } = require('interproc')

const buffer = SharedBuffer.alloc(1024)
const worker = fork(`${__dirname}/worker.js`)

worker.on('message', length => {
  const text = buffer.toString('utf8', 0, length)
  console.log(`in the parent's buffer: ${text}`)
  assert.equal(text, 'written by the worker')
  console.log(`the worker wrote ${length} bytes into the parent's buffer`)
  worker.disconnect()
  buffer.close()
})

worker.send({ buffer })
