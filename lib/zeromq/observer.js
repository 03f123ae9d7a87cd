'use strict'

const { EventEmitter } = require('node:events')
const { zmqError } = require('./errors')

/** @typedef {{ type: string, address?: string, interval?: number, error?: Error }} ZmqEvent */

const KEY = Symbol('observer')
/** Events that wait for somebody to read them. */
const MAX_EVENTS = 10_000

/**
 * Reads what happens to a socket, by `receive()`, `for await`, or `on()`. Events are kept from the first look at
 * `socket.events` on, 10 000 of them at most: then the oldest are dropped.
 */
class Observer {
  #closed = false
  #observe
  #hold
  /** @type {ZmqEvent[]} */
  #queue = []
  /** @type {{ resolve: (event: ZmqEvent) => void, reject: (error: Error) => void } | null} */
  #reading = null
  /** @type {EventEmitter | null} */
  #emitter = null

  /**
   * @param {symbol} key
   * @param {(on: boolean) => void} observe
   * @param {(on: boolean) => void} hold somebody waits
   */
  constructor (key, observe, hold) {
    if (key !== KEY) throw new TypeError('Socket must be a socket object')
    this.#observe = observe
    this.#hold = hold
    observe(true)
  }

  /**
   * @param {(on: boolean) => void} observe
   * @param {(on: boolean) => void} hold
   */
  static of (observe, hold) {
    return new Observer(KEY, observe, hold)
  }

  get closed () { return this.#closed }

  close () {
    if (this.#closed) return
    this.#closed = true
    this.#observe(false)
    const reading = this.#stopReading()
    reading?.reject(zmqError('EAGAIN'))
  }

  /** @returns {Promise<ZmqEvent>} */
  receive () {
    if (this.#emitter !== null) {
      throw new Error('Observer is in event emitter mode. ' +
        'After a call to events.on() it is not possible to read events with events.receive().')
    }
    const event = this.#queue.shift()
    if (event !== undefined) return Promise.resolve(event)
    if (this.#closed) throw zmqError('EBADF')
    if (this.#reading !== null) {
      throw zmqError('EBUSY', { message: 'Observer is busy reading; only one receive operation may be in progress at any time' })
    }
    this.#hold(true)
    return new Promise((resolve, reject) => { this.#reading = { resolve, reject } })
  }

  /**
   * @param {string} type
   * @param {(event: any) => void} listener
   */
  on (type, listener) {
    this.#emit().on(type, listener)
    return this
  }

  /**
   * @param {string} type
   * @param {(event: any) => void} listener
   */
  off (type, listener) {
    this.#emit().off(type, listener)
    return this
  }

  /** @returns {AsyncIterator<ZmqEvent, undefined>} */
  [Symbol.asyncIterator] () {
    return { next: () => this.#next(), return: async () => ({ done: true, value: undefined }) }
  }

  /** @param {ZmqEvent} event */
  push (event) {
    if (this.#closed) return
    if (this.#emitter !== null) return void this.#emitter.emit(event.type, event)
    const reading = this.#stopReading()
    if (reading !== null) return reading.resolve(event)
    if (this.#queue.length === MAX_EVENTS) this.#queue.shift()
    this.#queue.push(event)
  }

  /** The socket has closed. */
  end () {
    this.push({ type: 'end' })
    this.#closed = true
  }

  #stopReading () {
    const reading = this.#reading
    this.#reading = null
    if (reading !== null) this.#hold(false)
    return reading
  }

  /** @returns {Promise<IteratorResult<ZmqEvent, undefined>>} */
  async #next () {
    if (this.#closed && this.#queue.length === 0) return { done: true, value: undefined }
    try {
      return { done: false, value: await this.receive() }
    } catch (error) {
      if (this.#closed && /** @type {any} */ (error).code === 'EAGAIN') return { done: true, value: undefined }
      throw error
    }
  }

  #emit () {
    if (this.#emitter !== null) return this.#emitter
    const emitter = this.#emitter = new EventEmitter()
    for (const event of this.#queue.splice(0)) process.nextTick(() => emitter.emit(event.type, event))
    return emitter
  }
}

module.exports = Observer
