'use strict'

/** How `connect(...)` and `listen(...)` may be called, brought into one shape: options and a callback. */

module.exports = { normalizeArgs, isNormalized, isPipeName, toNumber }

const normalized = Symbol('normalized')

/**
 * `(options | path | port[, host])[, …][, callback]` as `[options, callback | null]`.
 * @param {any[]} args
 * @returns {[any, Function | null]}
 */
function normalizeArgs (args) {
  const first = args[0]
  /** @type {any} */
  let options = {}
  if (typeof first === 'object' && first !== null) options = first
  else if (isPipeName(first)) options.path = first
  else if (args.length > 0) options = { port: first, ...(typeof args[1] === 'string' ? { host: args[1] } : {}) }
  const last = args.at(-1)
  /** @type {any} */
  const result = [options, typeof last === 'function' ? last : null]
  result[normalized] = true
  return result
}

/** @param {any} args */
function isNormalized (args) {
  return Array.isArray(args) && /** @type {any} */ (args)[normalized] === true
}

/** @param {unknown} name */
function isPipeName (name) {
  return typeof name === 'string' && toNumber(name) === false
}

/** @param {any} value */
function toNumber (value) {
  const number = Number(value)
  return number >= 0 ? number : false
}
