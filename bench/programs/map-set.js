'use strict'

const { args, api, result } = require('./program')
const { Meter } = require('./meter')
const { openMap, valueOf } = require('./map')

const map = openMap(api, args.address)
const entries = Array.from({ length: args.keys }, (_, i) => [`key ${i}`, valueOf(i)])
const meter = new Meter(args)
for (let i = 0, over = false; !over; i = (i + 1) % args.keys) {
  map.set(entries[i][0], entries[i][1])
  over = meter.add(1, 15)
}
if (map.get('key 7').id !== 7) throw new Error('key 7 has another value')
result(meter.rate)
