'use strict'

const hits = new Map()

process.on('message', address => {
  const total = (hits.get(address) ?? 0) + 1
  hits.set(address, total)
  process.send(total)
})
