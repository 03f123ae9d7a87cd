'use strict'

// Gives out work. A second client would get its share of it.
const { zmq } = require('interproc')

const port = Number(process.argv[2] ?? 7003)
const jobs = zmq.socket('push')

jobs.bindSync(`tcp://127.0.0.1:${port}`)
console.log(`listening on ${port}`)

for (let number = 1; number <= 5; number++) jobs.send(`job ${number}`)
jobs.send('no more jobs', 0, () => jobs.close()) // what is queued still goes to the client
