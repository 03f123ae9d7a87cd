'use strict'

const { args, api, ready } = require('./program')
const { COUNT, numbered } = require('./numbered')

async function main () {
  const push = new api.Push()
  for (const endpoint of args.address) push.connect(endpoint)
  const messages = numbered(args.size)
  ready(args.address)
  for (let i = 0; ; i = (i + 1) % COUNT) await push.send(messages[i])
}

main()
