'use strict'

const LOADS = 9 // fresh processes a round

const exported = ['spawn', 'fork', 'net.connect', 'dgram.createSocket', 'SharedBuffer.alloc', 'zmq.Push']

function sides (measure) {
  return {
    ours: { name: 'interproc', module: 'interproc', programs: ['load'], args: { measure, exports: exported }, times: measure === 'time' ? LOADS : 1 },
    peer: { name: 'zeromq.js', module: 'zeromq', programs: ['load'], args: { measure, exports: ['Push'] }, times: measure === 'time' ? LOADS : 1 }
  }
}

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'load.time',
  title: 'require() of the whole package in a fresh process, median',
  unit: 's',
  higherIsBetter: false,
  target: 0.5,
  ...sides('time')
}, {
  id: 'load.size',
  title: 'Size of the native addon (limit: 4 MB)',
  unit: 'B',
  higherIsBetter: false,
  limit: 4e6,
  ...sides('size')
}]
