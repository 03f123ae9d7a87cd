'use strict'

// Makes the map and fills it; from then on it reads and writes beside the measured process, so much a millisecond whatever that costs:
// a side that is slow here must not be spared for it.

const { args, api, ready } = require('./program')
const { openMap, valueOf } = require('./map')

const map = openMap(api)
for (let i = 0; i < args.keys; i++) map.set(`key ${i}`, valueOf(i))
ready(map.place)

let next = 0
function use () {
  for (let i = 0; i < 50; i++, next = (next + 1) % args.keys) {
    if (map.get(`key ${next}`).id !== next) throw new Error(`key ${next} has another value`)
  }
  map.set(`key ${next}`, valueOf(next))
}
setInterval(use, 1)
