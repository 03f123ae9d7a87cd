'use strict'

const { both } = require('./both')

const tcp = { endpoint: 'tcp://127.0.0.1:0', size: 16 }
const ipc = { endpoint: 'ipc://{folder}/socket', size: 16 }
const flow = ['zmq-pull', 'zmq-push']
const sides = (programs, args) => both('interproc/zeromq', 'zeromq', programs, { args })

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'zmq.push-pull.tcp.16B',
  title: 'PUSH to PULL over TCP, 16-byte messages, await send / for await',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 5,
  ...sides(flow, tcp)
}, {
  id: 'zmq.push-pull.ipc.16B',
  title: 'PUSH to PULL over a Unix socket, 16-byte messages, await send / for await',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 5,
  ...sides(flow, ipc)
}, {
  id: 'zmq.push-pull.tcp.16B.batch',
  title: 'PUSH to PULL over TCP, 16-byte messages, in batches: sendMany / receiveMany',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 10,
  ours: sides(['zmq-pull-batch', 'zmq-push-batch'], tcp).ours,
  peer: sides(flow, tcp).peer
}, {
  id: 'zmq.req-rep.tcp.16B',
  title: 'REQ to REP and back over TCP, 16 bytes, median round trip',
  unit: 's',
  higherIsBetter: false,
  target: 0.5,
  ...sides(['zmq-rep', 'zmq-req'], tcp)
}]
