'use strict'

/**
 * The Web Locks API (https://w3c.github.io/web-locks/) between all processes of a user, and a blocking form.
 */

const { ERR_ILLEGAL_CONSTRUCTOR, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE } = require('../errors')
const { validateAbortSignal, validateObject } = require('../validate')
const { agent, modes, flags: { ifAvailable: IF_AVAILABLE, steal: STEAL } } = require('./agent')
const { get, getSync, give } = require('./hold')
const { validName, validTimeout } = require('./valid')

const own = Symbol('interproc.locks')

/** @typedef {import('./hold').Grant} Grant */
/** @typedef {'exclusive' | 'shared'} Mode */
/** @typedef {{ mode: Mode, ifAvailable: boolean, steal: boolean, signal: AbortSignal | undefined }} Options */

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
    return this.#grant !== null && !this.#grant.stolen
  }

  /** Gives it back. `false`: it was released or stolen before. */
  release () {
    const grant = this.#grant
    this.#grant = null
    return grant !== null && give(grant)
  }

  [Symbol.dispose] () { this.release() }
}

class LockManager {
  /** @param {symbol} key */
  constructor (key) {
    if (key !== own) throw new ERR_ILLEGAL_CONSTRUCTOR()
  }

  /**
   * Calls `callback` once the lock is there, holds it until what that returns has settled, and gives the same.
   * @param {string} name
   * @param {any} options
   * @param {(lock: any) => any} [callback]
   * @returns {Promise<any>}
   */
  async request (name, options, callback) {
    if (callback === undefined && typeof options === 'function') {
      callback = options
      options = undefined
    }
    name = validName(name)
    if (typeof callback !== 'function') throw new ERR_INVALID_ARG_TYPE('callback', 'Function', callback)
    const wanted = validOptions(name, options)
    wanted.signal?.throwIfAborted()
    return new Promise((resolve, reject) => run(name, wanted, callback, resolve, reject))
  }

  /**
   * Gets the lock until its `release()`. `null` where `ifAvailable` says so.
   * @param {string} name
   * @param {any} [options]
   * @returns {Promise<any>} a HeldLock, or `null`
   */
  async acquire (name, options) {
    name = validName(name)
    const wanted = validOptions(name, options)
    wanted.signal?.throwIfAborted()
    return new Promise((resolve, reject) => get(askFor(name, wanted), wanted.signal, (error, grant) => {
      if (error !== undefined) reject(error)
      else resolve(grant && new HeldLock(own, name, wanted.mode, grant))
    }))
  }

  /**
   * As `acquire`, but blocks the thread meanwhile. `null`: not within `timeout` milliseconds.
   * @param {string} name
   * @param {any} [options]
   * @returns {HeldLock | null}
   */
  acquireSync (name, options = {}) {
    name = validName(name)
    const wanted = validOptions(name, options)
    const timeout = validTimeout(options.timeout)
    const grant = getSync(askFor(name, wanted), timeout)
    return grant && new HeldLock(own, name, wanted.mode, grant)
  }

  /**
   * What is held and waited for at the moment.
   * @returns {Promise<import('../../types/locks').LockManagerSnapshot>}
   */
  async query () {
    const entries = agent().list().filter(({ mode }) => mode === modes.exclusive || mode === modes.shared)
    const describe = /** @param {import('../binding.js').LockEntry} entry */ ({ name, mode, pid, agent }) => ({
      name,
      mode: /** @type {Mode} */ (mode === modes.shared ? 'shared' : 'exclusive'),
      clientId: `${pid}-${agent}`
    })
    return {
      held: entries.filter(entry => entry.held).map(describe),
      pending: entries.filter(entry => !entry.held).map(describe)
    }
  }

  get [Symbol.toStringTag] () { return 'LockManager' }
}

/**
 * @param {string} name
 * @param {Options} wanted
 * @param {Function} callback
 * @param {(value: any) => void} resolve
 * @param {(error: unknown) => void} reject
 */
function run (name, wanted, callback, resolve, reject) {
  get(askFor(name, wanted), wanted.signal, (error, grant) => {
    if (error !== undefined) return reject(error)
    if (grant !== null) grant.onStolen = () => reject(new DOMException('The lock was stolen by another request', 'AbortError'))
    hold(grant && new Lock(own, name, wanted.mode, grant.ownerDied), grant, callback).then(resolve, reject)
  })
}

/**
 * Runs the callback, not before the present one has ended, and gives the lock back.
 * @param {Lock | null} lock
 * @param {Grant | null} grant
 * @param {Function} callback
 */
async function hold (lock, grant, callback) {
  await undefined
  try {
    return await callback(lock)
  } finally {
    if (grant !== null && !grant.stolen) give(grant)
  }
}

/**
 * @param {string} name
 * @param {Options} wanted
 */
function askFor (name, { mode, ifAvailable, steal }) {
  return { name, mode: modes[mode], flags: (ifAvailable ? IF_AVAILABLE : 0) | (steal ? STEAL : 0), count: 1, limit: 1 }
}

/**
 * @param {string} name
 * @param {any} options
 * @returns {Options}
 */
function validOptions (name, options) {
  if (options == null) options = {}
  validateObject(options, 'options', { function: true, array: true })
  const { mode = 'exclusive', signal } = options
  const ifAvailable = Boolean(options.ifAvailable)
  const steal = Boolean(options.steal)
  if (`${mode}` !== 'exclusive' && `${mode}` !== 'shared') {
    throw new ERR_INVALID_ARG_VALUE('options.mode', mode, "must be one of: 'exclusive', 'shared'")
  }
  validateAbortSignal(signal, 'options.signal')
  if (name.startsWith('-')) throw notSupported('The name of a lock cannot begin with "-"')
  if (steal && ifAvailable) throw notSupported('The options "steal" and "ifAvailable" cannot be used together')
  if (steal && mode !== 'exclusive') throw notSupported('The option "steal" goes with the mode "exclusive" only')
  if (signal !== undefined && (steal || ifAvailable)) {
    throw notSupported('The option "signal" cannot be used together with "steal" or "ifAvailable"')
  }
  return { mode: /** @type {Mode} */ (`${mode}`), ifAvailable, steal, signal }
}

/** @param {string} message */
function notSupported (message) {
  return new DOMException(message, 'NotSupportedError')
}

module.exports = { locks: new LockManager(own) }
