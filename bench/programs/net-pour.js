'use strict'

const { args } = require('./program')
const { connect } = require('./connect')
const { pattern } = require('./pattern')

const socket = connect(args.address)

function pour () {
  while (socket.write(pattern));
}

socket.on('connect', pour)
socket.on('drain', pour)
