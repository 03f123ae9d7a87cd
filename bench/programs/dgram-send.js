'use strict'

const { args, api } = require('./program')
const { COUNT, numbered } = require('./numbered')

// The receiver's buffer holds about 270 small datagrams: with fewer than that under way none is lost,
// and the receiver can insist on each number.
const messages = numbered(args.size)
const socket = api.createSocket('udp4')
let sent = 0
let received = 0

function pump () {
  while (sent - received < args.inFlight) socket.send(messages[sent++ % COUNT])
}

socket.on('message', receipt => {
  received = receipt.readUInt32LE(0)
  pump()
})
socket.bind(0, '127.0.0.1', () => {
  socket.connect(args.address.port, args.address.address, pump)
})
