'use strict'

const { args } = require('./program')
const { connect } = require('./connect')
const { pieces } = require('./pattern')

const socket = connect(args.address)
const messages = pieces(args.size)
const head = Buffer.alloc(4)
head.writeUInt32LE(args.size)

function pour () {
  for (let more = true; more;) {
    socket.cork()
    socket.write(head)
    more = socket.write(messages.next().value)
    socket.uncork()
  }
}

socket.on('connect', pour)
socket.on('drain', pour)
