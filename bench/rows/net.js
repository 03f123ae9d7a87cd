'use strict'

const { both } = require('./both')

const tcp = { port: 0, host: '127.0.0.1' }
const sides = (programs, args) => both('interproc/net', 'node:net', programs, { args })

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'net.tcp.echo.16B',
  title: 'Echo over TCP, 16 bytes, median round trip',
  unit: 's',
  higherIsBetter: false,
  target: 1,
  ...sides(['net-echo', 'net-ping'], { listen: tcp, size: 16 })
}, {
  id: 'net.unix.echo.16B',
  title: 'Echo over a Unix socket, 16 bytes, median round trip',
  unit: 's',
  higherIsBetter: false,
  target: 1,
  ...sides(['net-echo', 'net-ping'], { listen: { path: '{folder}/socket' }, size: 16 })
}, {
  id: 'net.tcp.small-writes.64B',
  title: 'Many 64-byte writes a tick over TCP, echoed',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 3,
  ...sides(['net-echo', 'net-small-writes'], { listen: tcp, size: 64 })
}, {
  id: 'net.tcp.bulk',
  title: 'One stream over TCP, 64 KB writes',
  unit: 'B/s',
  higherIsBetter: true,
  target: 1.1,
  ...sides(['net-sink', 'net-pour'], { listen: tcp })
}]
