'use strict'

const { SharedMap } = require('interproc')

const LIMIT = 100
const hits = new SharedMap(process.argv[2])

/** Counts a request, atomically between all workers. The minute begins with an address's first one. */
function mayPass (address) {
  return hits.increment(address, 1, { ttl: 60_000 }) <= LIMIT
}

let passed = 0
for (let request = 0; request < 50; request++) {
  if (mayPass('192.0.2.1')) passed++
}
process.send({ pid: process.pid, passed }, () => process.disconnect())
