'use strict'

const { args, api } = require('./program')
const { numbered } = require('./numbered')

async function main () {
  // A subscriber that is slow makes the publisher wait, instead of losing messages.
  const pub = new api.Publisher({ noDrop: true })
  await pub.bind(args.address)
  const messages = numbered(args.size)
  for (let i = 0; ; i = (i + 1) % messages.length) await pub.send(messages[i])
}

main()
