'use strict'

const { args, api } = require('./program')
const { COUNT, numbered } = require('./numbered')

const BATCH = 256

async function main () {
  const push = new api.Push()
  push.connect(args.address)
  const messages = numbered(args.size)
  const batches = []
  for (let i = 0; i < COUNT; i += BATCH) batches.push(messages.slice(i, i + BATCH))
  for (let i = 0; ; i = (i + 1) % batches.length) await push.sendMany(batches[i])
}

main()
