'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { Checker } = require('./numbered')

const queue = args.address ? new api.Queue(args.address) : new api.Queue()
const checker = new Checker(args.size, args.senders)
const meter = new Meter(args)

const receivers = {
  async each () {
    for await (const message of queue) {
      checker.check(message)
      if (meter.add()) return
    }
  },
  async many () {
    for (let over = false; !over;) {
      for (const message of await queue.receiveMany()) {
        checker.check(message)
        over = meter.add() || over
      }
    }
  },
  async drain () {
    let over = false
    const look = view => {
      checker.checkView(view)
      over = meter.add() || over
    }
    while (!over) if (queue.drain(look) === 0) await queue.readable()
  }
}

ready(queue.ticket)
receivers[args.receive]().then(() => result(meter.rate))
