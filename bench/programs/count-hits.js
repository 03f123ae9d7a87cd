'use strict'

// Counts the hits of an address, and is told each time how many all processes counted: by a SharedMap; else another process has a Map,
// and is asked.
const path = require('node:path')
const { args, api, result } = require('./program')
const { Meter } = require('./meter')

const ADDRESS = '192.0.2.1'
const meter = new Meter(args)
let hits = 0

function isOver (total) {
  if (total !== ++hits) throw new Error(`${total} hits instead of ${hits}`)
  return meter.add()
}

if (api.SharedMap) {
  const map = new api.SharedMap()
  while (!isOver(map.increment(ADDRESS, 1))) continue
  result(meter.rate)
} else {
  const keeper = api.fork(path.join(__dirname, 'count-hits-child.js'))
  keeper.on('message', total => isOver(total) ? result(meter.rate) : keeper.send(ADDRESS))
  keeper.send(ADDRESS)
}
