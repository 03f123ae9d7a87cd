'use strict'

const { args, api, result } = require('./program')
const { Meter } = require('./meter')
const { openMap } = require('./map')

const map = openMap(api, args.address)
const keys = Array.from({ length: args.keys }, (_, i) => `key ${i}`)
const meter = new Meter(args)
for (let i = 0, over = false; !over; i = (i + 1) % args.keys) {
  if (map.get(keys[i]).id !== i) throw new Error(`${keys[i]} has another value`)
  over = meter.add()
}
result(meter.rate)
