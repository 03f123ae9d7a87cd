'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { Checker } = require('./numbered')

const sub = new api.Subscriber()
const meter = new Meter(args)

async function main () {
  sub.connect(args.endpoint)
  sub.subscribe()
  let checker
  let over = false
  for await (const [message] of sub) {
    // It joins when the publisher has begun already.
    checker ??= Checker.from(args.size, message)
    checker.check(message)
    over = meter.add() || over
    if (over) break
  }
  result(meter.rate)
  for (;;) await sub.receive()
}

ready(args.endpoint)
main()
