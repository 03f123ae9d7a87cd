'use strict'

/** `interproc/net`: what `node:net` has, on the reactor. */

const net = require('node:net')
const { normalizeArgs } = require('./arguments')
const { Server, createServer } = require('./server')
const { Socket, connect } = require('./socket')

/**
 * Its types are node:net's own (types/net.d.ts); here the compiler only sees to it that no name is missing.
 * @satisfies {Record<Exclude<keyof typeof import('../../types/net'), 'default'>, unknown>}
 */
const face = {
  connect,
  createConnection: connect,
  createServer,
  Server,
  Socket,
  Stream: Socket, // Its name in Node 0.x; packages use it still.
  // Node's own: pure functions and data that its other modules take too.
  BlockList: net.BlockList,
  SocketAddress: net.SocketAddress,
  isIP: net.isIP,
  isIPv4: net.isIPv4,
  isIPv6: net.isIPv6,
  getDefaultAutoSelectFamily: net.getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily: net.setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout: net.getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout: net.setDefaultAutoSelectFamilyAttemptTimeout
}

// Leftovers that a few packages ask for; the second is gone in Node 24.
const { _setSimultaneousAccepts } = /** @type {any} */ (net)
Object.defineProperty(face, '_normalizeArgs', { value: normalizeArgs })
if (_setSimultaneousAccepts) Object.defineProperty(face, '_setSimultaneousAccepts', { value: _setSimultaneousAccepts })

module.exports = face
