'use strict'

const { args, api } = require('./program')
const { pattern } = require('./pattern')

const queue = new api.Queue(args.address)
const { length: period } = pattern
const bytes = Buffer.concat(Array(Math.ceil(args.size / period) + 1).fill(pattern))

async function main () {
  for (let at = 0; ; at = (at + args.size) % period) await queue.send(bytes.subarray(at, at + args.size))
}

main()
