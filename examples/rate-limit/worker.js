'use strict'

const { SharedMap } = require('interproc')

const LIMIT = 100

process.on('message', ticket => {
  const hits = new SharedMap(ticket)
  // Counted atomically between all workers. The minute begins with an address's first request.
  const mayPass = address => hits.increment(address, 1, { ttl: 60_000 }) <= LIMIT
  let passed = 0
  for (let request = 0; request < 50; request++) {
    if (mayPass('192.0.2.1')) passed++
  }
  process.send({ pid: process.pid, passed })
})
