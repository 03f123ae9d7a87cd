'use strict'

// As map-set, but lmdb may write in its own way: put() answers later, many at once. Ours are seen by the other process at once anyway.

const { args, api, fail, result } = require('./program')
const { Meter } = require('./meter')
const { openMap, valueOf } = require('./map')

const map = openMap(api, args.address)
const entries = Array.from({ length: args.keys }, (_, i) => [`key ${i}`, valueOf(i)])
const meter = new Meter(args)

async function run () {
  for (let over = false; !over;) {
    for (let i = 0; i < args.keys; i++) map.put(entries[i][0], entries[i][1])
    await map.done()
    over = meter.add(args.keys, 0)
  }
  if (map.get('key 7').id !== 7) throw new Error('key 7 has another value')
  result(meter.rate)
}

run().catch(fail)
