'use strict'

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'shared.read-write',
  title: 'A loop that reads and writes an Int32Array on a SharedBuffer, against one on a plain Buffer',
  unit: 'op/s',
  higherIsBetter: true,
  target: 0.95,
  ours: { name: 'interproc', module: 'interproc', programs: ['shared-read-write'], args: { bytes: 2 ** 20 } },
  peer: { name: 'plain Buffer', module: 'node:buffer', programs: ['shared-read-write'], args: { bytes: 2 ** 20 } }
}]
