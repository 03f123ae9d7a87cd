'use strict'

const { ERR_NOT_SUPPORTED } = require('../errors')

module.exports = { shared }

/** The addon, where it has shared memory. */
function shared () {
  // Not before: `interproc --help` works without a binary.
  const native = require('../native')
  if (native.createSharedBuffer === undefined) {
    throw new ERR_NOT_SUPPORTED('Shared memory', 'it needs file locks that end with their process (OFD locks)')
  }
  return native
}
