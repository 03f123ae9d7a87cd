'use strict'

const { args, api, ready } = require('./program')

async function main () {
  const rep = new api.Reply()
  await rep.bind(args.endpoint)
  ready(rep.lastEndpoint)
  for await (const [message] of rep) await rep.send(message)
}

main()
