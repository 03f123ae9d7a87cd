'use strict'

// Large messages read in place.
const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { PatternChecker } = require('./pattern')

const queue = new api.Queue()
const checker = new PatternChecker()
const meter = new Meter(args)
let over = false

function look (view) {
  checker.check(view.subarray(), meter.warming)
  over = meter.add(view.length, args.glance) || over
}

async function main () {
  while (!over) {
    if (queue.drain(look) === 0) await new Promise(setImmediate)
  }
  result(meter.rate)
}

ready(queue.ticket)
main()
