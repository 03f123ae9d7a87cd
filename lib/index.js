'use strict'

/** @satisfies {typeof import('../index.d.ts')} */
const interproc = {
  SharedBuffer: require('./shared').SharedBuffer,
  dgram: /** @type {any} */ (require('./dgram')), // Typed as node:dgram: see types/dgram.d.ts.
  net: /** @type {any} */ (require('./net')), // Typed as node:net: see types/net.d.ts.
  zmq: require('./zeromq/both'),
  version: require('./native').version()
}

module.exports = interproc
