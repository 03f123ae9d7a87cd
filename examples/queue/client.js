'use strict'

const assert = require('node:assert')
const { zmq } = require('interproc')

const port = Number(process.argv[2] ?? 7003)
const jobs = zmq.socket('pull')
const done = []

jobs.connect(`tcp://127.0.0.1:${port}`)
jobs.on('message', message => {
  console.log(`from the server: ${message}`)
  if (message.toString() !== 'no more jobs') return done.push(message.toString())
  assert.deepEqual(done, ['job 1', 'job 2', 'job 3', 'job 4', 'job 5'])
  console.log(`${done.length} jobs came through the queue, in order`)
  jobs.close()
})
