'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { Checker } = require('./numbered')

const checker = new Checker(args.size)
const meter = new Meter(args)
const socket = api.createSocket('udp4')
const receipt = Buffer.alloc(4)
let received = 0

socket.on('message', (message, sender) => {
  checker.check(message)
  received++
  if (received % args.receiptEvery === 0) {
    receipt.writeUInt32LE(received % 2 ** 32)
    socket.send(receipt, sender.port, sender.address)
  }
  if (meter.add()) result(meter.rate)
})
socket.bind(0, '127.0.0.1', () => ready(socket.address()))
