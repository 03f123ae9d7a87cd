'use strict'

/**
 * One thing to measure, on our side and on the peer's.
 *
 * @typedef {object} Row
 * @property {string} id
 * @property {string} title What is measured, for people
 * @property {'msg/s' | 'B/s' | 'op/s' | 's' | 'B'} unit
 * @property {boolean} higherIsBetter
 * @property {number} [target] The ratio ours / peer to reach: at least this where higher is better, at most this elsewhere
 * @property {number} [limit] The value that ours must stay under, whatever the peer does
 * @property {Side} ours
 * @property {Side} peer
 *
 * @typedef {object} Side
 * @property {string} name Who this is, for people
 * @property {string} module What the programs load: a name of the package, of a peer in bench/package.json, or of Node
 * @property {string[]} programs Started one after another; two processes, one for what happens within a process, or many
 * @property {number} [meters] How many of the programs measure, the first ones: their values are added up. By default any one does
 * @property {object} [args] What the programs are told besides the row's time
 * @property {number} [times] The value is the median of so many runs
 */

/** @type {Record<string, Row[]>} */
const families = {
  zmq: require('./zmq'),
  net: require('./net'),
  dgram: require('./dgram'),
  process: require('./process'),
  shared: require('./shared'),
  queue: require('./queue'),
  topic: require('./topic'),
  map: require('./map'),
  locks: require('./locks'),
  load: require('./load')
}

module.exports = { families }
