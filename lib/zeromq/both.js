'use strict'

/** `zmq` of the package's root: version 6's classes, and version 5's `socket('push')` and constants beside them. */

module.exports = Object.assign({}, require('./v5-compat'), require('.'))
