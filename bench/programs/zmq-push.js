'use strict'

const { args, api } = require('./program')
const { COUNT, numbered } = require('./numbered')

async function main () {
  const push = new api.Push()
  push.connect(args.address)
  const messages = numbered(args.size)
  for (let i = 0; ; i = (i + 1) % COUNT) await push.send(messages[i])
}

main()
