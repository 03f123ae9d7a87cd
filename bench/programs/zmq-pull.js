'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { Checker } = require('./numbered')

async function main () {
  const pull = new api.Pull()
  await pull.bind(args.endpoint.replace('{pid}', process.pid))
  // Who pushes connects to all that pull.
  ready([...args.address ?? [], pull.lastEndpoint])
  const checker = new Checker(args.size, args.senders)
  const meter = new Meter(args)
  for await (const [message] of pull) {
    checker.check(message)
    if (meter.add()) break
  }
  result(meter.rate)
}

main()
