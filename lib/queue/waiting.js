'use strict'

const { AbortError, ERR_QUEUE_CLOSED, ERR_QUEUE_FULL } = require('../errors')
const { validateAbortSignal, validateObject } = require('../validate')

/** Messages in one go, before the event loop gets its turn. */
const BURST = 1024

/** Calls that may wait at one handle, for messages and for room each. More is a program that does not wait for its promises. */
const MOST = 65_536

/**
 * How long the thread may be blocked: milliseconds that are left (negative: for ever), and microseconds of looking without sleeping.
 * @typedef {{ left: () => number, spin: number }} Block
 */

/**
 * A call that waits.
 * @typedef {object} Waiter
 * @property {(wait?: Block) => any} attempt tries again; gives `undefined` if it must go on waiting, else an object with its result
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 * @property {() => void} [closed] what to do when the queue is closed; else it is rejected
 * @property {AbortSignal} [signal]
 * @property {() => void} [onAbort]
 * @property {boolean} settled
 * @property {() => void} [end] settles it, should its attempt find nothing: it was ended while that went on
 */

/** Calls that wait for messages, or for room, in the order they came. */
class Waiting {
  /** @type {Waiter[]} */
  #waiters = []
  #changed
  #serving = false
  /** Whether calls further behind were settled while others are served. */
  #holes = false
  /**
   * Whose attempt goes on.
   * @type {Waiter | undefined}
   */
  #current

  /** @param {() => Error | undefined} changed called when waiting begins and ends; gives the reason why nobody can wait now */
  constructor (changed) {
    this.#changed = changed
  }

  get length () { return this.#waiters.length }

  /** Whether calls are being served: codecs of the program may run. */
  get serving () { return this.#serving }

  /**
   * @param {(wait?: Block) => any} attempt
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
      const waiter = { attempt, resolve, reject, closed: closed && (() => closed(resolve)), signal, settled: false }
      if (signal !== undefined) {
        waiter.onAbort = () => this.#leave(waiter, () => reject(new AbortError(undefined, { cause: signal.reason })))
        signal.addEventListener('abort', waiter.onAbort, { once: true })
      }
      this.#waiters.push(waiter)
      /** @type {Error | undefined} */
      let error
      try {
        error = this.#changed()
      } catch (thrown) {
        // Of a 'message' listener that had its turn meanwhile. It is the program's to catch; this call waits.
        process.nextTick(() => { throw thrown })
      }
      if (error !== undefined && !waiter.settled) this.#leave(waiter, () => reject(error))
    })
  }

  /**
   * Tries the calls again, the oldest first, until one must go on waiting. Codecs of the program run meanwhile: they may end
   * the waiting of any call, and begin others.
   * @param {Block} [wait] blocks the thread for those that must wait
   */
  serve (wait) {
    if (this.#serving) return
    this.#serving = true
    const waiters = this.#waiters
    let over = 0
    try {
      for (const waiter of waiters) {
        if (!waiter.settled && !this.#served(waiter, wait)) break
        over++
      }
    } finally {
      this.#serving = false
      if (over > 0) waiters.splice(0, over)
      if (this.#holes) this.#waiters = this.#waiters.filter(({ settled }) => !settled)
      this.#holes = false
    }
  }

  /**
   * Ends the waiting of one call.
   * @param {(wait?: Block) => any} attempt that call's
   * @param {any} value what it gives
   */
  withdraw (attempt, value) {
    const waiter = this.#waiters.find(waiter => waiter.attempt === attempt)
    if (waiter !== undefined) this.#leave(waiter, () => waiter.resolve(value))
  }

  /** The queue is closed: nobody waits any longer. */
  close () {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      this.#end(waiter, waiter.closed ?? (() => waiter.reject(new ERR_QUEUE_CLOSED())))
    }
  }

  /**
   * Tries a call again.
   * @param {Waiter} waiter
   * @param {Block} [wait]
   * @returns {boolean} `false`: it must go on waiting
   */
  #served (waiter, wait) {
    let result
    this.#current = waiter
    try {
      result = waiter.attempt(wait)
    } catch (error) {
      this.#settle(waiter)
      waiter.reject(error)
      return true
    } finally {
      this.#current = undefined
    }
    if (result === undefined && waiter.end === undefined) return false
    this.#settle(waiter)
    if (result === undefined) waiter.end?.()
    else waiter.resolve(result.value)
    return true
  }

  /** @type {(waiter: Waiter, end: () => void) => void} */
  #leave (waiter, end) {
    this.#end(waiter, end)
    // Those who are being served stay in their places so long.
    if (this.#serving) this.#holes = true
    else this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
    this.#changed()
  }

  /**
   * A call's waiting ends before it got what it waits for.
   * @param {Waiter} waiter
   * @param {() => void} end what settles its promise
   */
  #end (waiter, end) {
    if (waiter.settled) return
    if (waiter === this.#current) {
      // It has a message in its hands, perhaps, which must not get lost.
      waiter.end ??= end
      return
    }
    this.#settle(waiter)
    end()
  }

  /** @param {Waiter} waiter */
  #settle (waiter) {
    waiter.settled = true
    const { signal, onAbort } = waiter
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
