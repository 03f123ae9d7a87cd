'use strict'

const { both } = require('./both')

const named = (id, row) => ({ ...row, peer: { ...row.peer, name: row.peer.module.replace('node:', '') }, id })

/**
 * What the demo measures: each job beside Node's own way to do it. Not part of the benchmark, where the peer of a row is
 * the best known one.
 *
 * @type {Record<string, import('./index').Row>}
 */
module.exports = {
  'child-pipes': named('demo.child-pipes', {
    title: '64-byte messages through a child and back',
    unit: 'msg/s',
    higherIsBetter: true,
    ...both('interproc/child_process', 'node:child_process', ['spawn-small-writes'], { args: { size: 64 } })
  }),
  tcp: named('demo.tcp', require('./net').find(({ id }) => id === 'net.tcp.small-writes.64B')),
  udp: named('demo.udp', require('./dgram').find(({ id }) => id === 'dgram.send-recv.64B')),
  'shared-buffer': {
    id: 'demo.shared-buffer',
    title: '1 MiB to a child, which changes it, and back',
    unit: 'msg/s',
    higherIsBetter: true,
    ours: { name: 'SharedBuffer', module: 'interproc', programs: ['hand-over'], args: { bytes: 2 ** 20 } },
    peer: { name: 'process.send', module: 'node:child_process', programs: ['hand-over'], args: { bytes: 2 ** 20 } }
  },
  'rate-limit': {
    id: 'demo.rate-limit',
    title: 'Hits that all processes count together',
    unit: 'op/s',
    higherIsBetter: true,
    ours: { name: 'SharedMap', module: 'interproc', programs: ['count-hits'], args: {} },
    peer: { name: 'process.send', module: 'node:child_process', programs: ['count-hits'], args: {} }
  },
  queue: {
    id: 'demo.queue',
    title: '16-byte messages from process to process',
    unit: 'msg/s',
    higherIsBetter: true,
    ours: { name: 'PUSH to PULL', module: 'interproc/zeromq', programs: ['zmq-pull', 'zmq-push'], args: { endpoint: 'tcp://127.0.0.1:0', size: 16 } },
    peer: { name: 'process.send', module: 'node:child_process', programs: ['process-send'], args: { size: 16 } }
  },
  topic: {
    id: 'demo.topic',
    title: '64-byte messages from a process to another',
    unit: 'msg/s',
    higherIsBetter: true,
    ours: { name: 'Topic', module: 'interproc', programs: ['topic-subscribe', 'topic-publish'], args: { size: 64 } },
    peer: { name: 'process.send', module: 'node:child_process', programs: ['process-send'], args: { size: 64 } }
  }
}
