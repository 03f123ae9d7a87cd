'use strict'

const { args } = require('./program')
const { connect } = require('./connect')
const { measureEchoes } = require('./echoes')

const socket = connect(args.address)
socket.on('connect', () => measureEchoes(socket, socket))
