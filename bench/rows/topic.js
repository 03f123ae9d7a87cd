'use strict'

const SUBSCRIBERS = 8

/** All subscribers measure; their rates are added up. */
const toAll = (module, name, subscribe, publish, args) => ({
  name, module, programs: [...Array(SUBSCRIBERS).fill(subscribe), publish], meters: SUBSCRIBERS, args: { size: 64, ...args }
})

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'topic.1-to-8.64B',
  title: '64-byte messages from one publisher to eight subscribers, all together, against PUB to SUB over a Unix socket',
  unit: 'msg/s',
  higherIsBetter: true,
  target: 10,
  ours: toAll('interproc', 'interproc', 'topic-subscribe', 'topic-publish'),
  peer: toAll('zeromq', 'zeromq.js', 'zmq-sub', 'zmq-pub', { endpoint: 'ipc://{folder}/socket' })
}]
