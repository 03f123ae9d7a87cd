'use strict'

const util = require('node:util')
const { codeOf } = require('../errors')

module.exports = { socketBufferSizeError }

/**
 * `ERR_SOCKET_BUFFER_SIZE`, a SystemError with `info`, as Node makes it.
 * @param {number} errno
 * @param {string} syscall
 */
function socketBufferSizeError (errno, syscall) {
  const code = codeOf(errno)
  const message = util.getSystemErrorMap().get(errno)?.[1] ?? 'unknown error'
  const error = new Error(`Could not get or set buffer size: ${syscall} returned ${code} (${message})`)
  Error.captureStackTrace(error, socketBufferSizeError)
  Object.defineProperty(error, 'name', { value: 'SystemError', configurable: true, writable: true })
  return Object.assign(error, { code: 'ERR_SOCKET_BUFFER_SIZE', info: { errno, code, message, syscall }, errno, syscall })
}
