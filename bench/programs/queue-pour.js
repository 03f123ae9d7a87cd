'use strict'

const { args, api } = require('./program')
const { pieces } = require('./pattern')

const queue = new api.Queue(args.address)

async function main () {
  for (const message of pieces(args.size)) await queue.send(message)
}

main()
