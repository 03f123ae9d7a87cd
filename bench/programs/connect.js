'use strict'

const { api } = require('./program')

/** Connects to what the server's `address()` said: an object for TCP, a path for a Unix socket. */
function connect (address) {
  return api.connect(typeof address === 'string' ? { path: address } : { port: address.port, host: address.address, noDelay: true })
}

module.exports = { connect }
