'use strict'

const { Queue } = require('./queue')

/** @typedef {Omit<typeof import('../types/child_process'), 'default'>} ChildProcessFace */

/** @satisfies {typeof import('../index.d.ts')} */
const interproc = {
  ...(/** @type {ChildProcessFace} */ (/** @type {any} */ (require('./child_process')))), // Typed as Node's own.
  Queue: /** @type {any} */ (Queue),
  SharedBuffer: require('./shared').SharedBuffer,
  dgram: /** @type {any} */ (require('./dgram')), // Typed as node:dgram: see types/dgram.d.ts.
  net: /** @type {any} */ (require('./net')), // Typed as node:net: see types/net.d.ts.
  zmq: require('./zeromq/both'),
  version: require('./native').version()
}

module.exports = interproc
