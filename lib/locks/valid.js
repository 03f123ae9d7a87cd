'use strict'

const { ERR_INVALID_ARG_VALUE } = require('../errors')
const { validateNumber } = require('../validate')

module.exports = { validName, validLockName, tableName, lockName, noTimeout, validTimeout }

/** Bytes of UTF-8. */
const MAX_NAME = 200

/** A surrogate without the other one of its pair: UTF-8 has none. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** What stands before names with lone surrogates in the table: no lock's name begins so. */
const QUOTED = '-'

/**
 * A semaphore's name: any text.
 * @param {unknown} value
 */
function validName (value) {
  const name = `${/** @type {any} */ (value)}`
  if (LONE_SURROGATE.test(name)) throw new ERR_INVALID_ARG_VALUE('name', name, 'has half a surrogate pair')
  validLength(name, name)
  return name
}

/**
 * A lock's name: any string, made of anything, as in the Web's API.
 * @param {unknown} value
 */
function validLockName (value) {
  const name = `${/** @type {any} */ (value)}`
  validLength(name, tableName(name))
  return name
}

/**
 * A lock's name as the table has it, which is text: that of a name with lone surrogates is quoted.
 * @param {string} name
 */
function tableName (name) {
  return LONE_SURROGATE.test(name) ? QUOTED + JSON.stringify(name) : name
}

/**
 * The reverse of `tableName`, also for what others wrote into the table.
 * @param {string} inTable
 * @returns {string}
 */
function lockName (inTable) {
  if (!inTable.startsWith(QUOTED)) return inTable
  try {
    const name = JSON.parse(inTable.slice(QUOTED.length))
    return tableName(name) === inTable ? name : inTable
  } catch {
    return inTable
  }
}

/**
 * @param {string} name
 * @param {string} inTable
 */
function validLength (name, inTable) {
  if (inTable.length * 3 > MAX_NAME && Buffer.byteLength(inTable) > MAX_NAME) {
    throw new ERR_INVALID_ARG_VALUE('name', name, `must not have more than ${MAX_NAME} bytes of UTF-8`)
  }
}

/**
 * For what does not block: a signal ends it.
 * @param {any} options
 */
function noTimeout (options) {
  if (options?.timeout === undefined) return
  throw new ERR_INVALID_ARG_VALUE('options.timeout', options.timeout, 'is for acquireSync. To end the waiting, give `signal: AbortSignal.timeout(ms)`')
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
