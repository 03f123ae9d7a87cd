'use strict'

const { validateFunction, validateInteger, validateObject } = require('../validate')
const { PART } = require('./codec')
const { callError } = require('./errors')
const { Inbox, NOTHING, ROW, lengthAt, offsetAt } = require('./inbox')
const { timeoutOf } = require('./sender')
const { View, place } = require('./view')
const { BURST, Waiting, signalOf } = require('./waiting')

/** @typedef {InstanceType<typeof View>} ViewOf */

/** How long `receiveSync` looks before it sleeps, in microseconds: a sender on another core answers within that. */
const SPIN = 20

/** The receiving half of a queue or subscription. */
class Receiver {
  #handle
  #codec
  #inbox
  #waiting
  /** @type {((most: number) => number) | undefined} */
  #lease
  /** @type {ViewOf | undefined} */
  #view
  #burst = 0

  /**
   * @param {import('../binding').QueueHandle} handle
   * @param {import('./codec').Codec} codec
   * @param {() => void} changed called when calls begin and end to wait for messages
   */
  constructor (handle, codec, changed) {
    this.#handle = handle
    this.#codec = codec
    this.#inbox = new Inbox(handle, codec)
    this.#waiting = new Waiting(changed)
  }

  /** Do calls wait for messages? */
  get waits () { return this.#waiting.length > 0 }

  /**
   * @param {any} [options]
   * @returns {Promise<any>}
   */
  receive (options) {
    try {
      return this.#next(value => value, signalOf(options))
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
      return found === undefined ? this.#waiting.add(attempt, signal) : this.#received(found.value)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @param {any} options */
  receiveSync (options = {}) {
    const timeout = timeoutOf(options)
    const { spin = SPIN } = options
    validateInteger(spin, 'options.spin', 0, 10_000_000)
    const value = this.#inbox.takeSync(timeout, spin)
    return value === NOTHING ? undefined : value
  }

  /**
   * @param {(view: ViewOf) => void} each
   * @param {any} options
   */
  drain (each, options = {}) {
    validateFunction(each, 'each')
    validateObject(options, 'options')
    const { max = Infinity } = options
    if (max !== Infinity) validateInteger(max, 'options.max', 0)
    this.#inbox.settle()
    const view = this.#view ??= new View(this.#handle.slots(), this.#codec)
    let total = 0
    while (total < max) {
      const count = this.#drainOnce(view, each, Math.min(BURST, max - total))
      if (count === 0) break
      total += count
    }
    return total
  }

  /** @returns {AsyncIterableIterator<any>} that ends when the queue is closed */
  iterate () {
    const done = { value: undefined, done: /** @type {const} */ (true) }
    let ended = false
    /** @returns {Promise<any>} */
    const next = () => {
      if (ended || this.#inbox.closed) return Promise.resolve(done)
      try {
        return this.#next(value => ({ value, done: false }), undefined, resolve => resolve(done))
      } catch (error) {
        return Promise.reject(error)
      }
    }
    return {
      next,
      return: () => {
        ended = true
        return Promise.resolve(done)
      },
      [Symbol.asyncIterator] () { return this }
    }
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

  /**
   * @param {(value: any) => any} wrap
   * @param {AbortSignal} [signal]
   * @param {(resolve: (value: any) => void) => void} [closed]
   * @returns {Promise<any>}
   */
  #next (wrap, signal, closed) {
    if (!this.waits) {
      const value = this.#inbox.take()
      if (value !== NOTHING) return this.#received(wrap(value))
    }
    return this.#waiting.add(() => {
      const value = this.#inbox.take()
      return value === NOTHING ? undefined : { value: wrap(value) }
    }, signal, closed)
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

  /** @type {(view: ViewOf, each: (view: ViewOf) => void, most: number) => number} */
  #drainOnce (view, each, most) {
    const lease = this.#lease ??= this.#handle.viewer()
    const count = lease(most)
    if (count < 0) throw callError(count, 'drain')
    if (count === 0) return 0
    const { table, mark } = this.#inbox
    let seen = 0
    try {
      while (seen < count) {
        const row = ++seen * ROW
        mark[0] = seen
        if (table[row + 2] & PART) {
          this.#drainPart(each, table[row + 2], seen - 1)
        } else {
          place(view, offsetAt(table, row), lengthAt(table, row), table[row + 2])
          each(view)
        }
      }
    } finally {
      place(view, 0, 0, -1)
      this.#inbox.drained(seen)
    }
    return count
  }

  /** @type {(each: (view: ViewOf) => void, tag: number, index: number) => void} */
  #drainPart (each, tag, index) {
    const memory = this.#inbox.part(index)
    const view = new View(memory, this.#codec)
    place(view, 0, memory.byteLength, tag & ~PART)
    each(view)
    place(view, 0, 0, -1)
  }
}

module.exports = { Receiver, NOTHING }
