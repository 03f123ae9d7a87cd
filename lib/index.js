'use strict'

/** @satisfies {typeof import('../index.d.ts')} */
const interproc = {
  SharedBuffer: require('./shared').SharedBuffer,
  version: require('./native').version()
}

module.exports = interproc
