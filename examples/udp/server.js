'use strict'

// Answers one datagram.
const assert = require('node:assert')
const { dgram } = require('interproc')

const port = Number(process.argv[2] ?? 7002)
const socket = dgram.createSocket('udp4')

socket.on('message', (message, sender) => {
  console.log(`from the client: ${message}`)
  assert.equal(message.toString(), 'ping')
  socket.send('pong', sender.port, sender.address, () => socket.close())
})

socket.bind(port, '127.0.0.1', () => console.log(`listening on ${port}`))
