'use strict'

const { pieces } = require('./pattern')

const messages = pieces(Number(process.argv[2]))
const AT_ONCE = 4 // then it waits until they are written: the channel has no bound of its own

function send () {
  for (let i = 1; i < AT_ONCE; i++) process.send(messages.next().value)
  process.send(messages.next().value, send)
}

send()
