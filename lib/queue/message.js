'use strict'

const { callError, CLOSED } = require('./errors')

/**
 * What a handle does with messages that it received.
 * @typedef {{ ack: (id: number) => number, release: (id: number) => number }} Acknowledging
 */

/** A message of a queue with `ack: true`: it stays in the queue until it is acknowledged. */
class Message {
  #handle
  #id

  /**
   * @param {Acknowledging} handle
   * @param {any} data
   * @param {number} id
   * @param {boolean} redelivered
   */
  constructor (handle, data, id, redelivered) {
    this.#handle = handle
    this.#id = id
    /** What was sent. */
    this.data = data
    /** Whether a receiver had it before, and died or released it. */
    this.redelivered = redelivered
  }

  /**
   * It is dealt with: nobody gets it again.
   * @returns {boolean} `false` if it was acknowledged or released before, or its queue is closed
   */
  ack () {
    return this.#call(this.#handle.ack(this.#id), 'ack')
  }

  /**
   * Back into the queue, for any receiver.
   * @returns {boolean} `false` if it was acknowledged or released before, or its queue is closed
   */
  release () {
    return this.#call(this.#handle.release(this.#id), 'release')
  }

  /** @type {(result: number, syscall: string) => boolean} */
  #call (result, syscall) {
    const id = this.#id
    // Its place in the queue is another message's later on.
    this.#id = NaN
    if (result < 0 && result !== CLOSED && !Number.isNaN(id)) throw callError(result, syscall)
    return result === 1
  }
}

module.exports = { Message }
