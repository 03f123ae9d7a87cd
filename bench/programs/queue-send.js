'use strict'

const { args, api, ready } = require('./program')
const { COUNT, numbered } = require('./numbered')

const queue = new api.Queue(args.address)
const messages = numbered(args.size)

async function main () {
  ready(args.address)
  if (args.receive === 'each') for (let i = 0; ; i = (i + 1) % COUNT) await queue.send(messages[i])
  for (;;) await queue.sendMany(messages)
}

main()
