'use strict'

const queue = (programs, args) => ({ name: 'interproc', module: 'interproc', programs, args })
const flow = (receive, size = 64) => queue(['queue-receive', 'queue-send'], { receive, size })

const peers = {
  send: { name: 'process.send', module: 'node:child_process', programs: ['process-send'], args: { size: 64 } },
  zmq: { name: 'zeromq.js', module: 'zeromq', programs: ['zmq-pull', 'zmq-push'], args: { endpoint: 'ipc://{folder}/socket', size: 64 } },
  echo: { name: 'node:net', module: 'node:net', programs: ['net-echo', 'net-ping'], args: { listen: { path: '{folder}/socket' }, size: 16 } },
  stream: { name: 'node:net', module: 'node:net', programs: ['net-sink', 'net-pour'], args: { listen: { path: '{folder}/socket' } } }
}

/** Four receivers, then four senders. */
const fourByFour = (receive, send) => ({ programs: [...Array(4).fill(receive), ...Array(4).fill(send)], meters: 4 })

/** Messages of megabytes: what they need to be measured in, and the peers for them. */
const MB = { size: 2 ** 20, glance: 3 }
const MB100 = { size: 100 * 2 ** 20, glance: 0, seconds: 2, warmUp: 2 }
const bulk = args => queue(['queue-sink', 'queue-pour'], args)
const clones = args => ({ name: 'process.send', module: 'node:child_process', programs: ['process-send-large'], args })
const framed = args => ({
  name: 'node:net',
  module: 'node:net',
  programs: ['net-message-sink', 'net-message-pour'],
  args: { listen: { path: '{folder}/socket' }, ...args }
})

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'queue.64B',
  title: '64-byte messages, sendMany / receiveMany, against process.send',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 40,
  ours: flow('many'),
  peer: peers.send
}, {
  id: 'queue.64B.zmq',
  title: '64-byte messages, sendMany / receiveMany, against PUSH to PULL over a Unix socket',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 25,
  ours: flow('many'),
  peer: peers.zmq
}, {
  id: 'queue.64B.standard',
  title: '64-byte messages, await send / for await, against process.send',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 12,
  ours: flow('each'),
  peer: peers.send
}, {
  id: 'queue.64B.drain',
  title: '64-byte messages read in place by drain, against process.send',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 80,
  ours: flow('drain'),
  peer: peers.send
}, {
  id: 'queue.4x4.64B',
  title: '64-byte messages, 4 senders and 4 receivers, against PUSH to PULL over Unix sockets',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 10,
  ours: { ...flow('many'), ...fourByFour('queue-receive', 'queue-send'), args: { receive: 'many', size: 64, senders: 4 } },
  peer: {
    ...peers.zmq,
    ...fourByFour('zmq-pull', 'zmq-push'),
    args: { endpoint: 'ipc://{folder}/socket-{pid}', size: 64, senders: 4 }
  }
}, {
  id: 'queue.rtt',
  title: 'There and back, 16 bytes, event loop to event loop, median, against a Unix socket',
  unit: 's',
  higherIsBetter: false,
  target: 0.9,
  ours: queue(['queue-echo', 'queue-ping'], { size: 16 }),
  peer: peers.echo
}, {
  id: 'queue.rtt.spin',
  title: 'There and back, 16 bytes, receiveSync with spin in workers, median, against a Unix socket',
  unit: 's',
  higherIsBetter: false,
  target: 0.1,
  ours: queue(['queue-spin-echo', 'queue-spin-ping'], { size: 16 }),
  peer: peers.echo
}, {
  id: 'queue.1MB',
  title: 'Messages of 1 MiB, each whole in a Buffer, against such messages over a Unix socket',
  unit: 'B/s',
  higherIsBetter: true,
  target: 5,
  ours: bulk(MB),
  peer: framed(MB)
}, {
  id: 'queue.1MB.send',
  title: "Messages of 1 MiB, against process.send with serialization 'advanced'",
  unit: 'B/s',
  higherIsBetter: true,
  target: 5,
  ours: bulk(MB),
  peer: clones(MB)
}, {
  id: 'queue.1MB.stream',
  title: 'Messages of 1 MiB, against a stream over a Unix socket whose chunks are looked at as they come',
  unit: 'B/s',
  higherIsBetter: true,
  ours: bulk(MB),
  peer: peers.stream
}, {
  id: 'queue.1MB.loan',
  title: 'Messages of 1 MiB written and read in memory of the queue, against a Unix socket',
  unit: 'B/s',
  higherIsBetter: true,
  ours: queue(['queue-drain', 'queue-lend'], MB),
  peer: framed(MB)
}, {
  id: 'queue.100MB',
  title: 'Messages of 100 MiB, each whole in a Buffer, against such messages over a Unix socket',
  unit: 'B/s',
  higherIsBetter: true,
  target: 5,
  ours: bulk(MB100),
  peer: framed(MB100)
}, {
  id: 'queue.100MB.stream',
  title: 'Messages of 100 MiB, against a stream over a Unix socket, looked at chunk by chunk',
  unit: 'B/s',
  higherIsBetter: true,
  ours: bulk(MB100),
  peer: peers.stream
}, {
  id: 'queue.100MB.send',
  title: "Messages of 100 MiB, against process.send with serialization 'advanced'",
  unit: 'B/s',
  higherIsBetter: true,
  target: 5,
  ours: bulk(MB100),
  peer: clones(MB100)
}]
