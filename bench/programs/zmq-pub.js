'use strict'

const { args, api } = require('./program')
const { numbered } = require('./numbered')

async function main () {
  // A subscriber that is slow makes the publisher wait, instead of losing messages: a send that finds no room fails.
  const pub = new api.Publisher({ noDrop: true })
  await pub.bind(args.address)
  const messages = numbered(args.size)
  for (let i = 0; ; i = (i + 1) % messages.length) {
    while (!await sent(pub, messages[i])) await new Promise(setImmediate)
  }
}

async function sent (pub, message) {
  try {
    await pub.send(message)
    return true
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error
    return false
  }
}

main()
