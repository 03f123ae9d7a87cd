'use strict'

const { args, result } = require('./program')
const { connect } = require('./connect')
const { Meter } = require('./meter')
const { COUNT, numbered, Checker } = require('./numbered')

const IN_FLIGHT = 1024 // messages written and not yet echoed; as many writes a tick as came back before it

const messages = numbered(args.size)
const checker = new Checker(args.size)
const meter = new Meter(args)
const socket = connect(args.address)
let sent = 0
let echoed = 0
let rest = Buffer.alloc(0)

function pump () {
  while (sent - echoed < IN_FLIGHT) socket.write(messages[sent++ % COUNT])
}

socket.on('connect', pump)
socket.on('data', chunk => {
  const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  let offset = 0
  for (; offset + args.size <= bytes.length; offset += args.size) {
    checker.checkAt(bytes, offset)
    echoed++
    if (meter.add()) return result(meter.rate)
  }
  rest = bytes.subarray(offset)
  pump()
})
