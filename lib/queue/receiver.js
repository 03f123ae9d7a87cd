'use strict'

const { validateFunction, validateInteger, validateObject } = require('../validate')
const { Drain } = require('./drain')
const { callError } = require('./errors')
const { NOTHING } = require('./inbox')
const { MessageIterator } = require('./iterator')
const { spinOf, timeoutOf } = require('./sender')
const { BURST, Waiting, signalOf } = require('./waiting')

/** @typedef {InstanceType<typeof import('./inbox').Inbox>} Inbox */

/** How long `receiveSync` looks before it sleeps, in microseconds: a sender on another core answers within that. */
const SPIN = 20

/** The receiving half of a queue or subscription. */
class Receiver {
  #handle
  #codec
  #inbox
  #waiting
  #changed
  /** @type {(() => number) | undefined} */
  #look
  /** @type {InstanceType<typeof Drain> | undefined} */
  #drain
  #burst = 0

  /**
   * @param {import('../binding').QueueHandle} handle
   * @param {import('./codec').Codec} codec
   * @param {() => Error | undefined} changed called when calls begin and end to wait for messages
   * @param {Inbox} inbox
   */
  constructor (handle, codec, changed, inbox) {
    this.#handle = handle
    this.#codec = codec
    this.#inbox = inbox
    this.#waiting = new Waiting(changed)
    this.#changed = changed
  }

  /** Do calls wait for messages? */
  get waits () { return this.#waiting.length > 0 }

  /**
   * @param {any} [options]
   * @returns {Promise<any>}
   */
  receive (options) {
    try {
      const signal = signalOf(options)
      return this.next(same) ?? this.later(() => this.attempt(same), signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The next message, or {@link NOTHING}. */
  take () {
    return this.#inbox.take()
  }

  tryReceive () {
    const value = this.#inbox.take()
    return value === NOTHING ? undefined : value
  }

  /**
   * @param {number} [most]
   * @param {any} [options]
   * @returns {Promise<any[]>}
   */
  receiveMany (most = BURST, options) {
    try {
      validateInteger(most, 'most', 1)
      const signal = signalOf(options)
      const attempt = () => {
        const values = this.#inbox.takeMany(Math.min(most, BURST))
        return values.length > 0 ? { value: values } : undefined
      }
      const found = this.waits ? undefined : attempt()
      return found === undefined ? this.later(attempt, signal) : this.#received(found.value)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @param {any} options */
  receiveSync (options = {}) {
    const timeout = timeoutOf(options)
    const value = this.#inbox.takeSync(timeout, spinOf(options, SPIN))
    return value === NOTHING ? undefined : value
  }

  /**
   * @param {(view: InstanceType<typeof import('./view').View>) => void} each
   * @param {any} options
   */
  drain (each, options = {}) {
    validateFunction(each, 'each')
    validateObject(options, 'options')
    const { max = Infinity } = options
    if (max !== Infinity) validateInteger(max, 'options.max', 0)
    const drain = this.#drain ??= new Drain(this.#handle, this.#codec, this.#inbox)
    try {
      return drain.run(each, max)
    } finally {
      // Of calls that the callback made.
      this.#again()
    }
  }

  /**
   * Waits until there is a message.
   * @param {any} [options]
   * @returns {Promise<void>}
   */
  readable (options) {
    try {
      const signal = signalOf(options)
      const look = this.#look ??= this.#handle.looker()
      const attempt = () => {
        const found = look()
        if (found < 0) throw callError(found, 'receive')
        return found > 0 ? { value: undefined } : undefined
      }
      return attempt() === undefined ? this.later(attempt, signal) : this.#received(undefined)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @returns {AsyncIterableIterator<any>} that ends when the queue is closed */
  iterate () {
    return /** @type {any} */ (new MessageIterator(this))
  }

  /** There may be messages. */
  serve () { this.#waiting.serve() }

  close () {
    try {
      this.#inbox.settle()
    } finally {
      this.#inbox.closed = true
    }
  }

  /** After the handle is closed. */
  closed () { this.#waiting.close() }

  /** Whether nothing comes any more. */
  get ended () { return this.#inbox.closed }

  /**
   * The next message.
   * @param {(value: any) => any} wrap
   * @returns {Promise<any> | undefined} `undefined`: it must be waited for
   */
  next (wrap) {
    if (this.waits) return undefined
    const value = this.#inbox.take()
    return value === NOTHING ? undefined : this.#received(wrap(value))
  }

  /**
   * What a call that waits does when there may be messages.
   * @param {(value: any) => any} wrap
   */
  attempt (wrap) {
    const value = this.#inbox.take()
    return value === NOTHING ? undefined : { value: wrap(value) }
  }

  /**
   * Waits.
   * @param {() => any} attempt
   * @param {AbortSignal} [signal]
   * @param {(resolve: (value: any) => void) => void} [closed]
   * @returns {Promise<any>}
   */
  later (attempt, signal, closed) {
    // A call from within the program's codec, which saw nothing of what is there.
    if (this.#inbox.busy) setImmediate(() => this.#again())
    return this.#waiting.add(attempt, signal, closed)
  }

  /**
   * Ends the waiting of a call.
   * @param {() => any} attempt
   * @param {any} value what it gives
   */
  withdraw (attempt, value) {
    this.#waiting.withdraw(attempt, value)
  }

  #again () {
    if (!this.waits) return
    this.serve()
    this.#changed()
  }

  /**
   * A loop of calls that never wait would keep the event loop from everything else.
   * @param {any} value
   * @returns {Promise<any>}
   */
  #received (value) {
    if (++this.#burst < BURST) return Promise.resolve(value)
    this.#burst = 0
    return new Promise(resolve => setImmediate(resolve, value))
  }
}

/** @param {any} value */
function same (value) {
  return value
}

module.exports = { Receiver, NOTHING }
