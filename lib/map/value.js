'use strict'

/** What JavaScript has, and what the store holds: bytes, numbers, texts. A text is JSON, or a plain string behind a mark. */

const { isAnyArrayBuffer, isMap, isNativeError, isSet } = require('node:util').types
const { ERR_INVALID_ARG_TYPE } = require('../errors')

/** What a plain string begins with in the store; JSON never does. */
const PLAIN = '\x01'

module.exports = { decode, encode, isPlain }

/**
 * @param {any} value
 * @returns {string | number | Uint8Array}
 */
function encode (value) {
  switch (typeof value) {
    // A string that is no proper Unicode would not come back; JSON escapes what is not.
    case 'string': return /** @type {any} */ (value).isWellFormed() ? PLAIN + value : JSON.stringify(value)
    case 'number': return value
    case 'bigint': throw invalid(value)
  }
  if (typeof value === 'object' && value !== null && !isOrdinary(value)) {
    if (ArrayBuffer.isView(value)) {
      return value instanceof Uint8Array ? value : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    }
    if (isAnyArrayBuffer(value)) return new Uint8Array(value)
    if (isEmptyInJson(value)) throw invalid(value)
  }
  const json = JSON.stringify(value)
  if (json === undefined) throw invalid(value)
  return json
}

/**
 * @param {string | number | Buffer | undefined} stored
 * @returns {any}
 */
function decode (stored) {
  if (typeof stored !== 'string') return stored
  return isPlain(stored) ? stored.slice(1) : JSON.parse(stored)
}

/** @param {string} stored a text */
function isPlain (stored) {
  return stored.charCodeAt(0) === 1
}

/**
 * Most objects are: they need no other look.
 * @param {any} value an object
 */
function isOrdinary (value) {
  const prototype = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === Array.prototype) && value.then === undefined
}

/**
 * What JSON would make `{}` of, and so nobody gets back. A promise is what an async function gives to `update`.
 * @param {any} value an object
 */
function isEmptyInJson (value) {
  return typeof value.toJSON !== 'function' && (typeof value.then === 'function' || isMap(value) || isSet(value) || isNativeError(value))
}

/** @param {unknown} value */
function invalid (value) {
  return new ERR_INVALID_ARG_TYPE('value', ['bytes', 'what JSON can say'], value)
}
