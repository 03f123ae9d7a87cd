'use strict'

// Three workers answer requests of one client; all of them together let 100 a minute through. With node:cluster it is the same.
const assert = require('node:assert')
const { fork, SharedMap } = require('interproc')

const hits = new SharedMap({ capacity: 2 ** 20 })
let allowed = 0
let running = 3

for (let i = 0; i < running; i++) {
  const worker = fork(`${__dirname}/worker.js`)
  worker.on('message', ({ pid, passed }) => {
    console.log(`worker ${pid} let ${passed} of 50 through`)
    allowed += passed
    worker.disconnect()
  })
  worker.on('exit', () => { if (--running === 0) end() })
  worker.send(hits.ticket)
}

function end () {
  assert.equal(hits.get('192.0.2.1'), 150)
  assert.equal(allowed, 100)
  hits.close()
  console.log(`${allowed} of 150 requests came through, whichever worker they came to`)
}
