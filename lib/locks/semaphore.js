'use strict'

/** A number of permits that all processes of a user share. Those of the dead come back. */

const { ERR_ILLEGAL_CONSTRUCTOR, ERR_INVALID_ARG_TYPE } = require('../errors')
const { validateAbortSignal, validateInteger, validateObject } = require('../validate')
const { agent, modes, flags: { ifAvailable: IF_AVAILABLE } } = require('./agent')
const { get, getSync, give } = require('./hold')
const { noTimeout, validName, validTimeout } = require('./valid')

const MAX_PERMITS = 2 ** 31 - 1
const own = Symbol('interproc.semaphore')

/** Permits that are held until `release`. */
class Permit {
  /** @type {import('./hold').Grant | null} */
  #grant
  #count
  #ownerDied

  /**
   * @param {symbol} key
   * @param {import('./hold').Grant} grant
   * @param {number} count
   */
  constructor (key, grant, count) {
    if (key !== own) throw new ERR_ILLEGAL_CONSTRUCTOR()
    this.#grant = grant
    this.#count = count
    this.#ownerDied = grant.ownerDied
  }

  /** How many. */
  get count () { return this.#count }

  /** A process ended without giving back permits that it held, and nobody has been told before. */
  get ownerDied () { return this.#ownerDied }

  /** Gives them back. `false`: they were before. */
  release () {
    const grant = this.#grant
    this.#grant = null
    return grant !== null && give(grant)
  }

  [Symbol.dispose] () { this.release() }
}

class Semaphore {
  #name
  #permits

  /**
   * @param {string} name
   * @param {number} permits how many there are in all; the same for all users
   */
  constructor (name, permits) {
    this.#name = validName(name)
    validateInteger(permits, 'permits', 1, MAX_PERMITS)
    this.#permits = permits
  }

  get name () { return this.#name }
  get permits () { return this.#permits }

  /**
   * @param {any} [options] `count`, `signal`
   * @returns {Promise<Permit>}
   */
  async acquire (options = {}) {
    const { count, signal } = this.#valid(options)
    noTimeout(options)
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => get(this.#ask(count, 0), signal, (error, grant) => {
      if (grant === null) reject(error)
      else resolve(new Permit(own, grant, count))
    }))
  }

  /**
   * @param {any} [options] `count`, `signal`
   * @returns {Permit | null} `null`: they are not free
   */
  tryAcquire (options = {}) {
    const { count, signal } = this.#valid(options)
    noTimeout(options)
    signal?.throwIfAborted()
    // Not waiting is not blocking.
    const grant = getSync(this.#ask(count, IF_AVAILABLE), 0)
    return grant && new Permit(own, grant, count)
  }

  /**
   * Blocks the thread until the permits are there. It aborts no `signal` meanwhile; one that is aborted already counts.
   * @param {any} [options] `count`, `timeout` in milliseconds, `signal`
   * @returns {Permit | null} `null`: not in time
   */
  acquireSync (options = {}) {
    const { count, signal } = this.#valid(options)
    const timeout = validTimeout(options.timeout)
    signal?.throwIfAborted()
    const grant = getSync(this.#ask(count, 0), timeout)
    return grant && new Permit(own, grant, count)
  }

  /**
   * Calls `callback` with permits, and gives them back when what it returns has settled.
   * @param {any} options
   * @param {(permit: Permit) => any} [callback]
   * @returns {Promise<any>}
   */
  async request (options, callback) {
    if (callback === undefined) [callback, options] = [options, undefined]
    if (typeof callback !== 'function') throw new ERR_INVALID_ARG_TYPE('callback', 'Function', callback)
    const permit = await this.acquire(options)
    try {
      return await callback(permit)
    } finally {
      permit.release()
    }
  }

  /** How many permits are free and held, and how many requests wait. */
  query () {
    const entries = agent().list().filter(({ mode, name }) => mode === modes.permits && name === this.#name)
    const held = entries.reduce((sum, entry) => sum + (entry.held ? entry.count : 0), 0)
    return { permits: this.#permits, held, available: this.#permits - held, pending: entries.filter(({ held }) => !held).length }
  }

  /** @param {any} options */
  #valid (options) {
    validateObject(options, 'options')
    const { count = 1, signal } = options
    validateInteger(count, 'options.count', 1, this.#permits)
    validateAbortSignal(signal, 'options.signal')
    return { count, signal }
  }

  /**
   * @param {number} count
   * @param {number} flags
   */
  #ask (count, flags) {
    return { name: this.#name, mode: modes.permits, flags, count, limit: this.#permits }
  }
}

module.exports = { Semaphore }
