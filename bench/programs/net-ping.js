'use strict'

const { args, result } = require('./program')
const { connect } = require('./connect')
const { Stopwatch } = require('./meter')
const { COUNT, numbered } = require('./numbered')

const messages = numbered(args.size)
const watch = new Stopwatch(args)
const socket = connect(args.address)
let number = 0
let received = 0

function ping () {
  watch.begin()
  socket.write(messages[number])
}

socket.on('connect', ping)
socket.on('data', chunk => {
  const part = messages[number].subarray(received, received + chunk.length)
  received += chunk.length
  if (!part.equals(chunk)) throw new Error(`the echo of ${number} is not what was sent`)
  if (received < args.size) return
  const over = watch.end()
  received = 0
  number = (number + 1) % COUNT
  if (over) result(watch.p50)
  else ping()
})
