'use strict'

const { ERR_INVALID_ARG_VALUE } = require('../errors')
const { validateNumber } = require('../validate')

module.exports = { validName, validTimeout }

/** Bytes of UTF-8. */
const MAX_NAME = 200

/**
 * A lock's or semaphore's name: any string, made of anything, as in the Web's API.
 * @param {unknown} value
 */
function validName (value) {
  const name = `${/** @type {any} */ (value)}`
  if (name.length * 3 > MAX_NAME && Buffer.byteLength(name) > MAX_NAME) {
    throw new ERR_INVALID_ARG_VALUE('name', name, `must not have more than ${MAX_NAME} bytes of UTF-8`)
  }
  return name
}

/**
 * @param {any} value
 * @returns {number} milliseconds
 */
function validTimeout (value) {
  if (value === undefined) return Infinity
  validateNumber(value, 'options.timeout', 0)
  return value
}
