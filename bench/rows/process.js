'use strict'

const { both } = require('./both')

const sides = (programs, args) => both('interproc/child_process', 'node:child_process', programs, { args })

/** @type {import('./index').Row[]} */
module.exports = [{
  id: 'spawn.block',
  title: 'Time that spawn() holds the JavaScript thread, 1 GiB of Buffers alive, median',
  unit: 's',
  higherIsBetter: false,
  target: 0.02,
  ...sides(['spawn-block'], { bytes: 2 ** 30, spawns: 20, warmUps: 3 })
}, {
  id: 'spawn.pipe-read',
  title: 'Reading all that a child prints (head -c: a C program, which writes 8 KB at a time)',
  unit: 'B/s',
  higherIsBetter: true,
  target: 2,
  ...sides(['spawn-pipe-read-c'], { gigabytes: true })
}, {
  id: 'spawn.pipe-read.64KB',
  title: 'The same, of a Node program that writes 64 KB at a time',
  unit: 'B/s',
  higherIsBetter: true,
  ...sides(['spawn-pipe-read'], { gigabytes: true })
}]
