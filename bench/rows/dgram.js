'use strict'

const { both } = require('./both')

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'dgram.send-recv.64B',
  title: 'UDP, 64-byte datagrams sent and received, none lost',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 3,
  ...both('interproc/dgram', 'node:dgram', ['dgram-receive', 'dgram-send'], {
    args: { size: 64, inFlight: 192, receiptEvery: 64 }
  })
}]
