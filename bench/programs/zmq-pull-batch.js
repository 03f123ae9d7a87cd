'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { Checker } = require('./numbered')

async function main () {
  const pull = new api.Pull()
  await pull.bind(args.endpoint)
  ready(pull.lastEndpoint)
  const checker = new Checker(args.size)
  const meter = new Meter(args)
  for (let over = false; !over;) {
    for (const [message] of await pull.receiveMany()) {
      checker.check(message)
      over = meter.add() || over
    }
  }
  result(meter.rate)
}

main()
