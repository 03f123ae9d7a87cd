'use strict'

const { COUNT, numberedText } = require('./numbered')

const messages = numberedText(Number(process.argv[2]))
const AT_ONCE = 256 // then it waits until they are written: the channel has no bound of its own
let next = 0

/** COUNT is a multiple of AT_ONCE. */
function send () {
  for (let i = 1; i < AT_ONCE; i++) process.send(messages[next++])
  process.send(messages[next++], send)
  next %= COUNT
}

send()
