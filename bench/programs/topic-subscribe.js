'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { Checker } = require('./numbered')

// The first subscriber makes the topic, the others and the publisher open it.
const topic = new api.Topic(args.address ?? undefined)
const subscription = topic.subscribe()
const meter = new Meter(args)

async function main () {
  const checker = new Checker(args.size)
  for (let over = false; !over;) {
    for (const message of await subscription.receiveMany()) {
      checker.check(message)
      over = meter.add() || over
    }
  }
  result(meter.rate)
  // All are measured in the same time: whoever is done must not hold up the others, and not leave them more of the machine.
  for (;;) await subscription.receiveMany()
}

ready(topic.ticket)
main()
