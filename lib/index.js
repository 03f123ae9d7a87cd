'use strict'

/** @satisfies {typeof import('../index.d.ts')} */
const interproc = {
  version: require('./native').version()
}

module.exports = interproc
