'use strict'

/**
 * Each map is opened by two processes: one is measured, the other reads 50 times a millisecond meanwhile, and writes once. lmdb's writes
 * are synchronous and its file is not forced to the disk (map.js); map.set-batch lets it gather them.
 */
const map = (id, what, program, target) => ({
  id,
  title: `${what} 100-byte JSON values, two processes at once`,
  unit: 'op/s',
  higherIsBetter: true,
  target,
  ours: { name: 'interproc', module: 'interproc', programs: ['map-open', program], args: { keys: 1000 } },
  peer: { name: 'lmdb', module: 'lmdb', programs: ['map-open', program], args: { keys: 1000 } }
})

/** @type {import('./index').Row[]} */
module.exports = [
  map('map.get', 'Reading', 'map-get', 2),
  map('map.set', 'Writing', 'map-set', 5),
  map('map.set-batch', 'Against lmdb\'s asynchronous put, a thousand at a time: writing', 'map-set-batch', 1),
  {
    id: 'counter.add',
    title: 'Adding to a SharedCounter, against Atomics.add on a BigInt64Array over a SharedArrayBuffer',
    unit: 'op/s',
    higherIsBetter: true,
    target: 0.9,
    ours: { name: 'interproc', module: 'interproc', programs: ['counter-add'], args: {} },
    peer: { name: 'Atomics.add', module: 'node:buffer', programs: ['counter-add'], args: {} }
  }
]
