'use strict'

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'locks.uncontended',
  title: 'Getting and giving back a lock that nobody else wants',
  unit: 'op/s',
  higherIsBetter: true,
  target: 100,
  ours: { name: 'interproc', module: 'interproc', programs: ['locks-uncontended'], args: {} },
  peer: { name: 'proper-lockfile', module: 'proper-lockfile', programs: ['locks-uncontended'], args: {} }
}]
