'use strict'

const { args, api } = require('./program')
const { numbered } = require('./numbered')

const topic = new api.Topic(args.address)
const messages = numbered(args.size)

async function main () {
  for (;;) await topic.publishMany(messages)
}

main()
