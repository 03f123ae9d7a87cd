'use strict'

/** Arguments of `spawn`, `exec`, `execFile` and `fork`: checked, put in order, and given their defaults, as Node does. */

const { constants: { signals } } = require('node:os')
const { fileURLToPath } = require('node:url')
const {
  ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_UNKNOWN_SIGNAL
} = require('../errors')
const { validateBoolean, validateFunction, validateObject, validateString } = require('../validate')

module.exports = {
  normalizeSpawn, normalizeExec, normalizeExecFile, validateTimeout, validateMaxBuffer, validateNoNull, validateNoNulls,
  validatePath, signalNumber, optionalSignal
}

/** @type {Map<number, string>} */
const names = new Map(Object.entries(signals).map(([name, number]) => [number, name]))

/**
 * @typedef {object} Normalized
 * @property {string} file
 * @property {string[]} args the first is the name that the program sees
 * @property {string[]} envPairs
 * @property {string | null | undefined} cwd
 * @property {boolean} detached
 */

/**
 * @param {string} file
 * @param {any} args arguments, or the options
 * @param {any} options
 * @returns {Normalized & Record<string, any>} a copy: the user's object is not changed
 */
function normalizeSpawn (file, args, options) {
  validateString(file, 'file')
  validateNoNull(file, 'file')
  if (file.length === 0) throw new ERR_INVALID_ARG_VALUE('file', file, 'cannot be empty')
  if (Array.isArray(args)) {
    args = [...args]
  } else if (args == null) {
    args = []
  } else if (typeof args !== 'object') {
    throw new ERR_INVALID_ARG_TYPE('args', 'object', args)
  } else {
    options = args
    args = []
  }
  validateNoNulls(args, 'args')
  if (options !== undefined) validateObject(options, 'options')
  options = { __proto__: null, ...options }
  validateOptions(options)
  const cwd = options.cwd == null ? options.cwd : validatePath(options.cwd, 'options.cwd')
  if (options.shell) {
    validateNoNull(options.shell, 'options.shell')
    args = ['-c', [file, ...args].join(' ')]
    file = typeof options.shell === 'string' ? options.shell : process.platform === 'android' ? '/system/bin/sh' : '/bin/sh'
  }
  args.unshift(typeof options.argv0 === 'string' ? options.argv0 : file)
  return {
    __proto__: null,
    ...options,
    args,
    cwd,
    detached: !!options.detached,
    envPairs: environment(options.env),
    file,
    windowsHide: !!options.windowsHide,
    windowsVerbatimArguments: !!options.windowsVerbatimArguments
  }
}

/**
 * `exec(command[, options][, callback])`: a file that a shell runs.
 * @param {string} command
 * @param {any} options
 * @param {any} [callback]
 */
function normalizeExec (command, options, callback) {
  validateString(command, 'command')
  validateNoNull(command, 'command')
  if (typeof options === 'function') {
    callback = options
    options = undefined
  }
  options = { __proto__: null, ...options }
  options.shell = typeof options.shell === 'string' ? options.shell : true
  return { file: command, options, callback }
}

/**
 * `execFile(file[, args][, options][, callback])`.
 * @param {string} file
 * @param {any} args
 * @param {any} options
 * @param {any} [callback]
 * @returns {{ file: string, args: any[], options: any, callback: any }}
 */
function normalizeExecFile (file, args, options, callback) {
  if (Array.isArray(args)) {
    args = [...args]
  } else if (args != null && typeof args === 'object') {
    callback = options
    options = args
    args = []
  } else if (typeof args === 'function') {
    callback = args
    options = null
    args = []
  }
  args ??= []
  if (typeof options === 'function') callback = options
  else if (options != null) validateObject(options, 'options')
  options ??= {}
  if (callback != null) validateFunction(callback, 'callback')
  if (options.argv0 != null) {
    validateString(options.argv0, 'options.argv0')
    validateNoNull(options.argv0, 'options.argv0')
  }
  return { file, args, options, callback }
}

/** @param {unknown} timeout */
function validateTimeout (timeout) {
  if (timeout != null && !(Number.isInteger(timeout) && /** @type {number} */ (timeout) >= 0)) {
    throw new ERR_OUT_OF_RANGE('timeout', 'an unsigned integer', timeout)
  }
}

/** @param {unknown} maxBuffer */
function validateMaxBuffer (maxBuffer) {
  if (maxBuffer != null && !(typeof maxBuffer === 'number' && maxBuffer >= 0)) {
    throw new ERR_OUT_OF_RANGE('options.maxBuffer', 'a positive number', maxBuffer)
  }
}

/**
 * A C string ends at its first NUL.
 * @param {unknown} value
 * @param {string} name
 */
function validateNoNull (value, name) {
  if (typeof value === 'string' && value.includes('\0')) {
    throw new ERR_INVALID_ARG_VALUE(name, value, 'must be a string without null bytes')
  }
}

/**
 * @param {unknown[]} values
 * @param {string} name
 */
function validateNoNulls (values, name) {
  for (let i = 0; i < values.length; i++) validateNoNull(values[i], `${name}[${i}]`)
}

/**
 * A path given as string, bytes or file URL.
 * @param {any} value
 * @param {string} name
 * @returns {string}
 */
function validatePath (value, name) {
  const path = value instanceof URL || (value?.href !== undefined && value.protocol !== undefined) ? fileURLToPath(value) : value
  if (typeof path !== 'string' && !(path instanceof Uint8Array)) {
    throw new ERR_INVALID_ARG_TYPE(name, ['string', 'Buffer', 'URL'], value)
  }
  if (/** @type {any} */ (path).includes(typeof path === 'string' ? '\0' : 0)) {
    throw new ERR_INVALID_ARG_VALUE(name, path, 'must be a string, Uint8Array, or URL without null bytes')
  }
  return typeof path === 'string' ? path : Buffer.from(path.buffer, path.byteOffset, path.length).toString()
}

/**
 * The number of a signal given by name or number.
 * @param {unknown} signal
 * @returns {number}
 */
function signalNumber (signal) {
  if (typeof signal === 'number' && names.has(signal)) return signal
  if (typeof signal === 'string') {
    const number = /** @type {Record<string, number>} */ (signals)[signal.toUpperCase()]
    if (number) return number
  }
  throw new ERR_UNKNOWN_SIGNAL(signal)
}

/**
 * The number of `options.killSignal`, if there is one.
 * @param {unknown} signal
 * @returns {number | undefined}
 */
function optionalSignal (signal) {
  if (typeof signal === 'string' || typeof signal === 'number') return signalNumber(signal)
  if (signal != null) throw new ERR_INVALID_ARG_TYPE('options.killSignal', ['string', 'number'], signal)
}

/** @param {any} options */
function validateOptions ({ detached, dieWithParent, uid, gid, shell, argv0, windowsHide, windowsVerbatimArguments }) {
  if (dieWithParent != null) validateBoolean(dieWithParent, 'options.dieWithParent')
  if (detached != null) validateBoolean(detached, 'options.detached')
  if (uid != null && uid !== (uid | 0)) throw new ERR_INVALID_ARG_TYPE('options.uid', 'int32', uid)
  if (gid != null && gid !== (gid | 0)) throw new ERR_INVALID_ARG_TYPE('options.gid', 'int32', gid)
  if (shell != null && typeof shell !== 'boolean' && typeof shell !== 'string') {
    throw new ERR_INVALID_ARG_TYPE('options.shell', ['boolean', 'string'], shell)
  }
  if (argv0 != null) {
    validateString(argv0, 'options.argv0')
    validateNoNull(argv0, 'options.argv0')
  }
  if (windowsHide != null) validateBoolean(windowsHide, 'options.windowsHide')
  if (windowsVerbatimArguments != null) validateBoolean(windowsVerbatimArguments, 'options.windowsVerbatimArguments')
}

/**
 * `NAME=value` for every enumerable property, inherited ones too.
 * @param {NodeJS.ProcessEnv | null | undefined} own
 * @returns {string[]}
 */
function environment (own) {
  const env = own || process.env
  // Always handed on, so that coverage reaches programs whose environment is a short list.
  if (own && process.env.NODE_V8_COVERAGE && !Object.hasOwn(own, 'NODE_V8_COVERAGE')) {
    own.NODE_V8_COVERAGE = process.env.NODE_V8_COVERAGE
  }
  const pairs = []
  for (const name in env) {
    const value = env[name]
    if (value === undefined) continue
    validateNoNull(name, `options.env['${name}']`)
    validateNoNull(value, `options.env['${name}']`)
    pairs.push(`${name}=${value}`)
  }
  return pairs
}
