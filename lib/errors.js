'use strict'

/**
 * The errors that this package throws and emits, made in JavaScript (so `instanceof Error` holds in every realm, Jest's too)
 * and worded as Node words them: `code`, `errno` (negative, as libuv counts), `syscall`, `address`, `port`, `path`, `dest`.
 *
 * `new ERR_INVALID_ARG_TYPE('options.port', 'number', port)` etc. are made as inside Node; the stack begins with
 * `TypeError [ERR_INVALID_ARG_TYPE]: …` while `name` stays `TypeError`.
 */

const { inspect } = require('node:util')
const system = require('./system-errors')
const { nodeError, text, describe, oneOf } = require('./error-wording')

/** `NodeJS.ErrnoException` with a code that is always there. */
/** @typedef {Error & { code: string }} CodedError */

class AbortError extends Error {
  /**
   * @param {string} [message]
   * @param {{ cause?: unknown }} [options]
   */
  constructor (message = 'The operation was aborted', options) {
    super(message, options)
    this.code = 'ABORT_ERR'
    this.name = 'AbortError'
  }
}

// Arguments.

/** Parameters: the argument's name (with a dot: a property), what it may be, what it is. */
const ERR_INVALID_ARG_TYPE = nodeError('ERR_INVALID_ARG_TYPE', TypeError,
  /** @type {(name: string, expected: string | string[], actual: unknown) => string} */
  (name, expected, actual) => `The ${subject(name)} must be ${oneOf(expected)}. Received ${describe(actual)}`)

const ERR_INVALID_ARG_VALUE = nodeError('ERR_INVALID_ARG_VALUE', TypeError, invalidValue)
/** The RangeError of the same code. */
const ERR_INVALID_ARG_VALUE_RANGE = nodeError('ERR_INVALID_ARG_VALUE', RangeError, invalidValue)

const ERR_OUT_OF_RANGE = nodeError('ERR_OUT_OF_RANGE', RangeError,
  /** @type {(name: string, range: string, actual: unknown) => string} */
  (name, range, actual) => `The value of "${name}" is out of range. It must be ${range}. Received ${numeral(actual)}`)

const ERR_MISSING_ARGS = nodeError('ERR_MISSING_ARGS', TypeError,
  /** @type {(...names: (string | string[])[]) => string} */
  (...names) => {
    const quoted = names.map(name => [name].flat().map(one => `"${one}"`).join(' or '))
    const list = quoted.length < 3 ? quoted.join(' and ') : `${quoted.slice(0, -1).join(', ')}, and ${quoted.at(-1)}`
    return `The ${list} argument${quoted.length === 1 ? '' : 's'} must be specified`
  })

const ERR_SOCKET_BAD_PORT = nodeError('ERR_SOCKET_BAD_PORT', RangeError,
  /** @type {(name: string, port: unknown, allowZero?: boolean) => string} */
  (name, port, allowZero = true) => `${name} should be ${allowZero ? '>=' : '>'} 0 and < 65536. Received ${describe(port)}.`)

/** Its error also has `host` and `port`. */
const ERR_INVALID_ADDRESS_FAMILY = nodeError('ERR_INVALID_ADDRESS_FAMILY', RangeError,
  /** @type {(family: unknown, host: string, port: number) => string} */
  (family, host, port) => `Invalid address family: ${family} ${host}:${port}`,
  (family, host, port) => ({ host, port }))

/** For what a platform does not have: what was asked for, and why it cannot be. */
const ERR_NOT_SUPPORTED = nodeError('ERR_NOT_SUPPORTED', Error,
  /** @type {(what: string, reason: string) => string} */
  (what, reason) => `${what} is not supported on ${process.platform}: ${reason}`)

/**
 * A native error becomes one of this realm, with the stack of the call that failed.
 * @param {any} error what the addon threw: `message` and maybe `code`, `errno`, `syscall`, `path`, `dest`
 * @returns {Error}
 */
function fromNative (error) {
  if (error instanceof Error) return error
  const own = new Error(error?.message ?? String(error), { cause: error })
  for (const key of ['code', 'errno', 'syscall', 'path', 'dest', 'address', 'port']) {
    if (error?.[key] !== undefined) Object.assign(own, { [key]: error[key] })
  }
  Error.captureStackTrace(own, fromNative)
  return own
}

/**
 * Calls the addon; what it throws is thrown as an error of this realm.
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function native (call) {
  try {
    return call()
  } catch (error) {
    throw fromNative(error)
  }
}

module.exports = {
  ...system,
  AbortError,
  fromNative,
  native,
  ERR_INVALID_ARG_TYPE,
  ERR_INVALID_ARG_VALUE,
  ERR_INVALID_ARG_VALUE_RANGE,
  ERR_OUT_OF_RANGE,
  ERR_MISSING_ARGS,
  ERR_NOT_SUPPORTED,
  ERR_SOCKET_BAD_PORT,
  ERR_INVALID_ADDRESS_FAMILY,

  ERR_AMBIGUOUS_ARGUMENT: text('ERR_AMBIGUOUS_ARGUMENT', TypeError, 'The "%s" argument is ambiguous. %s'),
  ERR_BUFFER_OUT_OF_BOUNDS: nodeError('ERR_BUFFER_OUT_OF_BOUNDS', RangeError,
    /** @type {(name?: string) => string} */
    name => name ? `"${name}" is outside of buffer bounds` : 'Attempt to access memory outside buffer bounds'),
  ERR_CHILD_CLOSED_BEFORE_REPLY: text('ERR_CHILD_CLOSED_BEFORE_REPLY', Error, 'Child closed before reply received'),
  ERR_CHILD_PROCESS_IPC_REQUIRED: text('ERR_CHILD_PROCESS_IPC_REQUIRED', Error,
    "Forked processes must have an IPC channel, missing value 'ipc' in %s"),
  ERR_CHILD_PROCESS_STDIO_MAXBUFFER: text('ERR_CHILD_PROCESS_STDIO_MAXBUFFER', RangeError, '%s maxBuffer length exceeded'),
  ERR_FEATURE_UNAVAILABLE_ON_PLATFORM: text('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', TypeError,
    'The feature %s is unavailable on the current platform, which is being used to run Node.js'),
  ERR_ILLEGAL_CONSTRUCTOR: text('ERR_ILLEGAL_CONSTRUCTOR', TypeError, 'Illegal constructor'),
  ERR_INCOMPATIBLE_OPTION_PAIR: text('ERR_INCOMPATIBLE_OPTION_PAIR', TypeError,
    'Option "%s" cannot be used in combination with option "%s"'),
  ERR_INVALID_FD: text('ERR_INVALID_FD', RangeError, '"fd" must be a positive integer: %s'),
  ERR_INVALID_FD_TYPE: text('ERR_INVALID_FD_TYPE', TypeError, 'Unsupported fd type: %s'),
  ERR_INVALID_HANDLE_TYPE: text('ERR_INVALID_HANDLE_TYPE', TypeError, 'This handle type cannot be sent'),
  ERR_INVALID_IP_ADDRESS: text('ERR_INVALID_IP_ADDRESS', TypeError, 'Invalid IP address: %s'),
  ERR_INVALID_STATE: text('ERR_INVALID_STATE', Error, 'Invalid state: %s'),
  ERR_INVALID_SYNC_FORK_INPUT: text('ERR_INVALID_SYNC_FORK_INPUT', TypeError,
    'Asynchronous forks do not support Buffer, TypedArray, DataView or string input: %s'),
  ERR_INVALID_THIS: text('ERR_INVALID_THIS', TypeError, 'Value of "this" must be of type %s'),
  /** What the other process sent is no message; the error that says so is the cause. */
  ERR_IPC_BAD_MESSAGE: nodeError('ERR_IPC_BAD_MESSAGE', Error,
    /** @type {(what: string, cause?: unknown) => string} */
    (what, _cause) => `The other process sent something that is no message: it is ${what}`,
    /** @type {(what: string, cause?: unknown) => object} */
    (_what, cause) => cause === undefined ? {} : { cause }),
  ERR_IPC_CHANNEL_CLOSED: text('ERR_IPC_CHANNEL_CLOSED', Error, 'Channel closed'),
  ERR_IPC_DISCONNECTED: text('ERR_IPC_DISCONNECTED', Error, 'IPC channel is already disconnected'),
  ERR_IPC_ONE_PIPE: text('ERR_IPC_ONE_PIPE', Error, 'Child process can have only one IPC pipe'),
  ERR_IPC_SYNC_FORK: text('ERR_IPC_SYNC_FORK', Error, 'IPC cannot be used with synchronous forks'),
  ERR_IP_BLOCKED: text('ERR_IP_BLOCKED', Error, 'IP(%s) is blocked by net.BlockList'),
  ERR_METHOD_NOT_IMPLEMENTED: text('ERR_METHOD_NOT_IMPLEMENTED', Error, 'The %s method is not implemented'),
  ERR_MISSING_OPTION: text('ERR_MISSING_OPTION', TypeError, '%s is required'),
  ERR_SERVER_ALREADY_LISTEN: text('ERR_SERVER_ALREADY_LISTEN', Error,
    'Listen method has been called more than once without closing.'),
  ERR_SERVER_NOT_RUNNING: text('ERR_SERVER_NOT_RUNNING', Error, 'Server is not running.'),
  ERR_QUEUE_CLOSED: text('ERR_QUEUE_CLOSED', Error, 'The queue is closed'),
  ERR_QUEUE_CODEC: text('ERR_QUEUE_CODEC', Error, 'The message holds %s'),
  ERR_QUEUE_DAMAGED: text('ERR_QUEUE_DAMAGED', Error,
    'The shared memory of the queue is damaged: something else wrote to it. Messages may be missing'),
  ERR_QUEUE_FULL: text('ERR_QUEUE_FULL', Error, '%s'),
  ERR_SHARED_DAMAGED: text('ERR_SHARED_DAMAGED', Error, 'The shared segment %s is not usable: %s'),
  ERR_SHARED_FULL: text('ERR_SHARED_FULL', Error, 'The shared segment %s takes no more users: %s'),
  ERR_SHARED_KIND: text('ERR_SHARED_KIND', TypeError, 'The shared segment %s is something else: %s'),
  ERR_SHARED_LAYOUT: text('ERR_SHARED_LAYOUT', Error, 'The shared segment %s was made by another version of interproc: %s'),
  ERR_SHARED_READ_ONLY: text('ERR_SHARED_READ_ONLY', TypeError, 'buffer.%s() is not possible: the shared buffer was opened with readOnly'),
  ERR_SOCKET_ALREADY_BOUND: text('ERR_SOCKET_ALREADY_BOUND', Error, 'Socket is already bound'),
  ERR_SOCKET_BAD_BUFFER_SIZE: text('ERR_SOCKET_BAD_BUFFER_SIZE', TypeError, 'Buffer size must be a positive integer'),
  ERR_SOCKET_BAD_TYPE: text('ERR_SOCKET_BAD_TYPE', TypeError, 'Bad socket type specified. Valid types are: udp4, udp6'),
  ERR_SOCKET_CLOSED: text('ERR_SOCKET_CLOSED', Error, 'Socket is closed'),
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: text('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', Error,
    'Socket closed before the connection was established'),
  ERR_SOCKET_CONNECTION_TIMEOUT: text('ERR_SOCKET_CONNECTION_TIMEOUT', Error, 'Socket connection timeout'),
  ERR_SOCKET_DGRAM_IS_CONNECTED: text('ERR_SOCKET_DGRAM_IS_CONNECTED', Error, 'Already connected'),
  ERR_SOCKET_DGRAM_NOT_CONNECTED: text('ERR_SOCKET_DGRAM_NOT_CONNECTED', Error, 'Not connected'),
  ERR_SOCKET_DGRAM_NOT_RUNNING: text('ERR_SOCKET_DGRAM_NOT_RUNNING', Error, 'Not running'),
  ERR_STREAM_DESTROYED: text('ERR_STREAM_DESTROYED', Error, 'Cannot call %s after a stream was destroyed'),
  ERR_STREAM_WRITE_AFTER_END: text('ERR_STREAM_WRITE_AFTER_END', Error, 'write after end'),
  ERR_UNKNOWN_ENCODING: text('ERR_UNKNOWN_ENCODING', TypeError, 'Unknown encoding: %s'),
  ERR_UNKNOWN_SIGNAL: text('ERR_UNKNOWN_SIGNAL', TypeError, 'Unknown signal: %s')
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} [reason]
 */
function invalidValue (name, value, reason = 'is invalid') {
  const shown = inspect(value)
  const type = name.includes('.') ? 'property' : 'argument'
  return `The ${type} '${name}' ${reason}. Received ${shown.length > 128 ? `${shown.slice(0, 128)}...` : shown}`
}

/** @param {string} name `options.port` is a property; `first argument` is said as it is */
function subject (name) {
  if (name.endsWith(' argument')) return name
  return `"${name}" ${name.includes('.') ? 'property' : 'argument'}`
}

/** @param {unknown} value big integers get `_` between thousands, as Node prints them */
function numeral (value) {
  if (Number.isInteger(value) && Math.abs(/** @type {number} */ (value)) > 2 ** 32) return grouped(String(value))
  if (typeof value === 'bigint') return `${value > 2n ** 32n || value < -(2n ** 32n) ? grouped(String(value)) : value}n`
  return inspect(value)
}

/** @param {string} digits */
function grouped (digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_')
}
