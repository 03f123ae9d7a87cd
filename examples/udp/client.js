'use strict'

const assert = require('node:assert')
const { dgram } = require('interproc')

const port = Number(process.argv[2] ?? 7002)
const socket = dgram.createSocket('udp4')

socket.on('message', message => {
  console.log(`from the server: ${message}`)
  assert.equal(message.toString(), 'pong')
  console.log('a datagram went to the server, and another came back')
  socket.close()
})

socket.send('ping', port, '127.0.0.1')
