'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { PatternChecker } = require('./pattern')

const queue = new api.Queue()
const checker = new PatternChecker()
const meter = new Meter(args)

async function main () {
  for await (const message of queue) {
    if (message.length !== args.size) throw new Error(`a message of ${message.length} bytes instead of ${args.size}`)
    checker.check(message, meter.warming)
    if (meter.add(message.length, args.glance)) return result(meter.rate)
  }
}

ready(queue.ticket)
main()
