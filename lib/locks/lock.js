'use strict'

/** Locks that are held: the Web's `Lock`, and one with `release`. */

const { inspect } = require('node:util')
const { ERR_ILLEGAL_CONSTRUCTOR } = require('../errors')
const { give, isHeld } = require('./hold')

/** Who has it may make locks. */
const own = Symbol('interproc.locks')

/** @typedef {import('./hold').Grant} Grant */
/** @typedef {'exclusive' | 'shared'} Mode */

/** A lock that is held. */
class Lock {
  #name
  #mode
  #ownerDied

  /**
   * @param {symbol} key
   * @param {string} name
   * @param {Mode} mode
   * @param {boolean} ownerDied
   */
  constructor (key, name, mode, ownerDied) {
    if (key !== own) throw new ERR_ILLEGAL_CONSTRUCTOR()
    this.#name = name
    this.#mode = mode
    this.#ownerDied = ownerDied
  }

  get name () { return this.#name }
  get mode () { return this.#mode }
  /** Its last holder ended without giving it back: what it guards may be half-done. */
  get ownerDied () { return this.#ownerDied }
  get [Symbol.toStringTag] () { return 'Lock' }

  /**
   * For `console.log`.
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   */
  [inspect.custom] (_depth, options) {
    return #name in this ? `${this.constructor.name} ${inspect(shown(this), options)}` : '[Lock]'
  }
}

/** A lock that is held until `release`. */
class HeldLock extends Lock {
  /** @type {Grant | null} */
  #grant

  /**
   * @param {symbol} key
   * @param {string} name
   * @param {Mode} mode
   * @param {Grant} grant
   */
  constructor (key, name, mode, grant) {
    super(key, name, mode, grant?.ownerDied)
    this.#grant = grant
  }

  /** `false` once released or stolen. */
  get held () {
    return this.#grant !== null && isHeld(this.#grant)
  }

  /** Gives it back. `false`: it was released or stolen before. */
  release () {
    const grant = this.#grant
    this.#grant = null
    return grant !== null && give(grant)
  }

  [Symbol.dispose] () { this.release() }
}

// As what the Web's bindings make.
enumerable(Lock.prototype, ['name', 'mode', 'ownerDied'])
enumerable(HeldLock.prototype, ['held', 'release'])

module.exports = { Lock, HeldLock, own, enumerable }

/** @param {Lock} lock */
function shown (lock) {
  const { name, mode, ownerDied } = lock
  return lock instanceof HeldLock ? { name, mode, ownerDied, held: lock.held } : { name, mode, ownerDied }
}

/**
 * @param {object} prototype
 * @param {string[]} keys
 */
function enumerable (prototype, keys) {
  for (const key of keys) Object.defineProperty(prototype, key, { enumerable: true })
}
