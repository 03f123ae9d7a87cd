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
  for await (const [message] of pull) {
    checker.check(message)
    if (meter.add()) break
  }
  result(meter.rate)
}

main()
