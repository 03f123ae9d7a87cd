'use strict'

const { AbortError, ERR_QUEUE_CLOSED, ERR_QUEUE_FULL } = require('../errors')
const { validateAbortSignal, validateObject } = require('../validate')

/** Messages in one go, before the event loop gets its turn. */
const BURST = 1024

/** Calls that may wait at one handle, for messages and for room each. More is a program that does not wait for its promises. */
const MOST = 65_536

/**
 * A call that waits.
 * @typedef {object} Waiter
 * @property {() => any} attempt tries again; gives `undefined` if it must go on waiting, else an object with its result
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 * @property {() => void} [closed] what to do when the queue is closed; else it is rejected
 * @property {AbortSignal} [signal]
 * @property {() => void} [onAbort]
 */

/** Calls that wait for messages, or for room, in the order they came. */
class Waiting {
  /** @type {Waiter[]} */
  #waiters = []
  #changed

  /** @param {() => void} changed called when waiting begins and ends */
  constructor (changed) {
    this.#changed = changed
  }

  get length () { return this.#waiters.length }

  /**
   * @param {() => any} attempt
   * @param {AbortSignal} [signal]
   * @param {(resolve: (value: any) => void) => void} [closed]
   * @returns {Promise<any>}
   */
  add (attempt, signal, closed) {
    if (this.#waiters.length >= MOST) {
      return Promise.reject(new ERR_QUEUE_FULL(`${MOST} calls wait already: await their promises before calling again`))
    }
    return new Promise((resolve, reject) => {
      /** @type {Waiter} */
      const waiter = { attempt, resolve, reject, closed: closed && (() => closed(resolve)), signal }
      if (signal !== undefined) {
        waiter.onAbort = () => {
          this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
          reject(new AbortError(undefined, { cause: signal.reason }))
          this.#changed()
        }
        signal.addEventListener('abort', waiter.onAbort, { once: true })
      }
      this.#waiters.push(waiter)
      this.#changed()
    })
  }

  /**
   * Tries the calls again, the oldest first, until one must go on waiting.
   * @returns {boolean} whether none waits any more
   */
  serve () {
    let served = 0
    for (const waiter of this.#waiters) {
      let result
      try {
        result = waiter.attempt()
      } catch (error) {
        this.#leave(waiter)
        waiter.reject(error)
        served++
        continue
      }
      if (result === undefined) break
      this.#leave(waiter)
      waiter.resolve(result.value)
      served++
    }
    if (served > 0) this.#waiters.splice(0, served)
    return this.#waiters.length === 0
  }

  /**
   * Ends the waiting of one call.
   * @param {() => any} attempt that call's
   * @param {any} value what it gives
   */
  withdraw (attempt, value) {
    const index = this.#waiters.findIndex(waiter => waiter.attempt === attempt)
    if (index < 0) return
    const [waiter] = this.#waiters.splice(index, 1)
    this.#leave(waiter)
    waiter.resolve(value)
    this.#changed()
  }

  /** The queue is closed: nobody waits any longer. */
  close () {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      this.#leave(waiter)
      if (waiter.closed) waiter.closed()
      else waiter.reject(new ERR_QUEUE_CLOSED())
    }
  }

  /** @param {Waiter} waiter */
  #leave ({ signal, onAbort }) {
    if (onAbort) signal?.removeEventListener('abort', onAbort)
  }
}

/**
 * @param {any} options
 * @returns {AbortSignal | undefined}
 */
function signalOf (options) {
  if (options === undefined) return undefined
  validateObject(options, 'options')
  const { signal } = options
  validateAbortSignal(signal, 'options.signal')
  if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason })
  return signal
}

module.exports = { BURST, Waiting, signalOf }
