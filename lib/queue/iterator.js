'use strict'

const DONE = { value: undefined, done: /** @type {const} */ (true) }

/** What all async iterators inherit: `for await` over the iterator itself, and what Node's version adds to it. */
const base = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}.prototype))

/**
 * The messages of a receiver, for `for await`. It ends when the queue is closed, or with `return()`: what waits then is
 * resolved as done, and takes no message any more.
 */
class MessageIterator {
  #receiver
  /**
   * What the calls that wait try again.
   * @type {Set<() => any>}
   */
  #waiting = new Set()
  #ended = false

  /** @param {InstanceType<typeof import('./receiver').Receiver>} receiver */
  constructor (receiver) {
    this.#receiver = receiver
  }

  /** @returns {Promise<IteratorResult<any, undefined>>} */
  next () {
    if (this.#ended || this.#receiver.ended) return Promise.resolve(DONE)
    try {
      return this.#receiver.next(result) ?? this.#later()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {any} [value]
   * @returns {Promise<IteratorResult<any, any>>}
   */
  async return (value) {
    this.#end()
    return { value: await value, done: true }
  }

  /**
   * @param {any} error
   * @returns {Promise<never>}
   */
  throw (error) {
    this.#end()
    return Promise.reject(error)
  }

  #end () {
    this.#ended = true
    for (const attempt of this.#waiting) this.#receiver.withdraw(attempt, DONE)
    this.#waiting.clear()
  }

  #later () {
    const attempt = () => {
      const found = this.#receiver.attempt(result)
      if (found !== undefined) this.#waiting.delete(attempt)
      return found
    }
    this.#waiting.add(attempt)
    return this.#receiver.later(attempt, undefined, resolve => resolve(DONE))
  }
}

Object.setPrototypeOf(MessageIterator.prototype, base)

const dispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')
if (!(dispose in base)) {
  Object.defineProperty(MessageIterator.prototype, dispose, {
    configurable: true,
    writable: true,
    value: async function () { await this.return() }
  })
}

/** @param {any} value */
function result (value) {
  return { value, done: false }
}

module.exports = { MessageIterator }
