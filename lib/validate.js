'use strict'

/**
 * Checks of arguments. Each takes the value and the name to call it by, and throws what Node's own checks throw
 * (`ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`, `ERR_SOCKET_BAD_PORT`).
 */

const { constants: { signals } } = require('node:os')
const {
  ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT, ERR_UNKNOWN_SIGNAL
} = require('./errors')

module.exports = {
  validateAbortSignal,
  validateArray,
  validateBoolean,
  validateBuffer,
  validateFunction,
  validateInt32,
  validateInteger,
  validateNumber,
  validateObject,
  validateOneOf,
  validatePort,
  validateSignalName,
  validateString,
  validateUint32
}

/** @type {(value: unknown, name: string) => void} */
function validateString (value, name) {
  if (typeof value !== 'string') throw new ERR_INVALID_ARG_TYPE(name, 'string', value)
}

/** @type {(value: unknown, name: string) => void} */
function validateBoolean (value, name) {
  if (typeof value !== 'boolean') throw new ERR_INVALID_ARG_TYPE(name, 'boolean', value)
}

/** @type {(value: unknown, name: string) => void} */
function validateFunction (value, name) {
  if (typeof value !== 'function') throw new ERR_INVALID_ARG_TYPE(name, 'Function', value)
}

/**
 * Not null, and neither array nor function, unless the options allow it.
 * @type {(value: unknown, name: string, options?: { nullable?: boolean, array?: boolean, function?: boolean }) => void}
 */
function validateObject (value, name, options = {}) {
  const fits = value === null
    ? options.nullable
    : Array.isArray(value)
      ? options.array
      : typeof value === 'object' || (typeof value === 'function' && options.function)
  if (!fits) throw new ERR_INVALID_ARG_TYPE(name, 'Object', value)
}

/** @type {(value: unknown, name: string, minLength?: number) => void} */
function validateArray (value, name, minLength = 0) {
  if (!Array.isArray(value)) throw new ERR_INVALID_ARG_TYPE(name, 'Array', value)
  if (value.length < minLength) throw new ERR_INVALID_ARG_VALUE(name, value, `must be longer than ${minLength}`)
}

/** @type {(value: unknown, name: string) => void} */
function validateBuffer (value, name = 'buffer') {
  if (!ArrayBuffer.isView(value)) throw new ERR_INVALID_ARG_TYPE(name, ['Buffer', 'TypedArray', 'DataView'], value)
}

/** @type {(value: unknown, name: string, min?: number, max?: number) => void} */
function validateNumber (value, name, min, max) {
  if (typeof value !== 'number') throw new ERR_INVALID_ARG_TYPE(name, 'number', value)
  const low = min !== undefined && !(value >= min)
  const high = max !== undefined && !(value <= max)
  if (!low && !high && !(Number.isNaN(value) && (min ?? max) !== undefined)) return
  const range = [min !== undefined && `>= ${min}`, max !== undefined && `<= ${max}`].filter(Boolean).join(' && ')
  throw new ERR_OUT_OF_RANGE(name, range, value)
}

/** @type {(value: unknown, name: string, min?: number, max?: number) => void} */
function validateInteger (value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== 'number') throw new ERR_INVALID_ARG_TYPE(name, 'number', value)
  if (!Number.isInteger(value)) throw new ERR_OUT_OF_RANGE(name, 'an integer', value)
  if (value < min || value > max) throw new ERR_OUT_OF_RANGE(name, `>= ${min} && <= ${max}`, value)
}

/** @type {(value: unknown, name: string, min?: number, max?: number) => void} */
function validateInt32 (value, name, min = -(2 ** 31), max = 2 ** 31 - 1) {
  validateInteger(value, name, min, max)
}

/** @type {(value: unknown, name: string, positive?: boolean) => void} */
function validateUint32 (value, name, positive = false) {
  validateInteger(value, name, positive ? 1 : 0, 2 ** 32 - 1)
}

/** @type {(value: unknown, name: string, allowed: readonly unknown[]) => void} */
function validateOneOf (value, name, allowed) {
  if (allowed.includes(value)) return
  const words = allowed.map(one => typeof one === 'string' ? `'${one}'` : String(one)).join(', ')
  throw new ERR_INVALID_ARG_VALUE(name, value, `must be one of: ${words}`)
}

/**
 * A port, as number or as a numeral (also hexadecimal).
 * @param {unknown} port
 * @param {string} [name]
 * @param {boolean} [allowZero]
 * @returns {number}
 */
function validatePort (port, name = 'Port', allowZero = true) {
  const number = typeof port === 'string' && port.trim().length > 0 ? Number(port) : port
  if (typeof number !== 'number' || number !== number >>> 0 || number > 0xFFFF || (number === 0 && !allowZero)) {
    throw new ERR_SOCKET_BAD_PORT(name, port, allowZero)
  }
  return number
}

/** @type {(value: unknown, name: string) => void} */
function validateAbortSignal (value, name) {
  if (value !== undefined && (value === null || typeof value !== 'object' || !('aborted' in value))) {
    throw new ERR_INVALID_ARG_TYPE(name, 'AbortSignal', value)
  }
}

/** @type {(value: unknown, name?: string) => void} */
function validateSignalName (value, name = 'signal') {
  validateString(value, name)
  const signal = /** @type {string} */ (value)
  if (Object.hasOwn(signals, signal)) return
  const hint = Object.hasOwn(signals, signal.toUpperCase()) ? ' (signals must use all capital letters)' : ''
  throw new ERR_UNKNOWN_SIGNAL(signal + hint)
}
