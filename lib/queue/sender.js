'use strict'

const { MAX_LENGTH } = require('node:buffer').constants
const { ERR_INVALID_ARG_TYPE } = require('../errors')
const { validateInteger, validateNumber, validateObject } = require('../validate')
const { Outbox, afterSending } = require('./outbox')
const { BURST, Waiting, signalOf } = require('./waiting')

/** What a call gives that did not have to wait. */
const SENT = Promise.resolve()

/** The sending half of a queue or topic. */
class Sender {
  #handle
  #outbox
  #waiting
  #changed
  #burst = 0

  /**
   * @param {import('../binding').QueueHandle | import('../binding').TopicHandle} handle
   * @param {import('./codec').Codec} codec
   * @param {() => Error | undefined} changed called when calls begin and end to wait for room
   */
  constructor (handle, codec, changed) {
    this.#handle = handle
    this.#outbox = new Outbox(handle, codec)
    this.#waiting = new Waiting(changed)
    this.#changed = changed
  }

  /** Do calls wait for room? */
  get waits () { return this.#waiting.length > 0 }

  /**
   * @param {any} value
   * @param {any} [options]
   * @returns {Promise<void>}
   */
  send (value, options) {
    try {
      const signal = signalOf(options)
      if (this.waits) return this.#later(this.#outbox.encode(value), signal)
      const message = this.#outbox.send(value)
      return message === undefined ? this.#sent() : this.#later(message, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @param {any} value */
  trySend (value) {
    return !this.waits && this.#outbox.send(value) === undefined
  }

  /**
   * @param {Iterable<any>} values
   * @param {any} [options]
   * @returns {Promise<void>}
   */
  sendMany (values, options) {
    let first = 0
    try {
      const signal = signalOf(options)
      const list = listOf(values)
      if (!this.waits) first = this.#outbox.sendMany(list, 0)
      if (first === list.length) return this.#sent()
      // The program may use its array for the next ones meanwhile.
      const rest = list.slice()
      return this.#waiting.add(wait => {
        first = this.#outbox.sendMany(rest, first)
        while (wait !== undefined && first < rest.length && this.#outbox.sendSync(rest[first], wait)) {
          first = this.#outbox.sendMany(rest, first + 1)
        }
        return first === rest.length ? { value: undefined } : undefined
      }, signal).catch(error => { throw afterSending(error, first) })
    } catch (error) {
      return Promise.reject(afterSending(error, first))
    }
  }

  /**
   * @param {any} value
   * @param {any} options
   */
  sendSync (value, options = {}) {
    const timeout = timeoutOf(options)
    const spin = spinOf(options, 0)
    // From a codec of a call that waits: that one cannot go first.
    if (!this.waits || this.#waiting.serving) return this.#outbox.sendSync(value, { left: () => timeout, spin })
    const end = performance.now() + timeout
    const wait = { left: () => timeout < 0 ? timeout : Math.max(0, end - performance.now()), spin }
    try {
      this.#waiting.serve(wait)
    } finally {
      // The thread was woken in place of the event loop, which waits on.
      if (this.waits && this.#handle.arm(true) >= 0) this.serve()
      this.#changed()
    }
    return !this.waits && this.#outbox.sendSync(value, wait)
  }

  /**
   * @param {number} size
   * @returns {Buffer}
   */
  alloc (size) {
    validateInteger(size, 'size', 0, MAX_LENGTH)
    return this.#outbox.lend(size)
  }

  /** There may be room. */
  serve () { this.#waiting.serve() }

  close () { this.#waiting.close() }

  /** @type {(message: import('./outbox').Waiting, signal?: AbortSignal) => Promise<void>} */
  #later (message, signal) {
    return this.#waiting.add(wait => this.#outbox.again(message, wait) ? { value: undefined } : undefined, signal)
  }

  /** A loop of calls that never wait would keep the event loop from everything else. */
  #sent () {
    if (++this.#burst < BURST) return SENT
    this.#burst = 0
    return new Promise(resolve => setImmediate(resolve))
  }
}

/**
 * @param {any} values
 * @returns {any[]}
 */
function listOf (values) {
  if (Array.isArray(values)) return values
  // A string or a Buffer is one message, not one for each letter.
  if (typeof values === 'object' && typeof values?.[Symbol.iterator] === 'function' && !ArrayBuffer.isView(values)) return [...values]
  throw new ERR_INVALID_ARG_TYPE('values', ['Array', 'Iterable'], values)
}

/**
 * @param {any} options
 * @returns {number} milliseconds, negative: for ever
 */
function timeoutOf (options) {
  validateObject(options, 'options')
  const { timeout } = options
  if (timeout === undefined || timeout === Infinity) return -1
  validateNumber(timeout, 'options.timeout', 0)
  return timeout
}

/**
 * @param {any} options
 * @param {number} otherwise
 * @returns {number} microseconds of looking before the thread sleeps
 */
function spinOf ({ spin }, otherwise) {
  if (spin === undefined) return otherwise
  validateInteger(spin, 'options.spin', 0, 10_000_000)
  return spin
}

module.exports = { Sender, spinOf, timeoutOf }
