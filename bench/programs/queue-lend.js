'use strict'

// The sender fills memory of the queue, where it will be read: it is what it would have to do with memory of its own.
const { args, api } = require('./program')
const { pieces } = require('./pattern')

const queue = new api.Queue(args.address)
const messages = pieces(args.size)

async function main () {
  for (;;) {
    const message = queue.alloc(args.size)
    message.set(messages.next().value)
    await queue.send(message)
  }
}

main()
