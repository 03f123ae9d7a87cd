'use strict'

/** `interproc/net`: what `node:net` has, on the reactor. */

const net = require('node:net')
const { _setSimultaneousAccepts } = /** @type {any} */ (net) // A leftover of Windows XP; gone in Node 24.
const { normalizeArgs } = require('./arguments')
const { Server, createServer } = require('./server')
const { Socket, connect } = require('./socket')

module.exports = {
  _normalizeArgs: normalizeArgs,
  ...(_setSimultaneousAccepts && { _setSimultaneousAccepts }),
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
