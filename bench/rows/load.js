'use strict'

const LOADS = 9 // fresh processes a round

const sides = (measure, ours, peer, times) => ({
  ours: { name: 'interproc', module: 'interproc', programs: ['load'], args: { measure, uses: ours }, times },
  peer: { name: 'zeromq.js', module: 'zeromq', programs: ['load'], args: { measure, uses: peer }, times }
})

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'load.time',
  title: 'require() in a fresh process (ours loads each room at its first use), median',
  unit: 's',
  higherIsBetter: false,
  target: 0.5,
  ...sides('time', [], [], LOADS)
}, {
  id: 'load.time.push',
  title: 'require() and a first look at the class Push in a fresh process, median',
  unit: 's',
  higherIsBetter: false,
  ...sides('time', ['zmq.Push'], ['Push'], LOADS)
}, {
  id: 'load.size',
  title: 'Size of the native addon (limit: 4 MB)',
  unit: 'B',
  higherIsBetter: false,
  limit: 4e6,
  ...sides('size', ['zmq.Push'], ['Push'], 1)
}]
