'use strict'

/**
 * The Web Locks API (https://w3c.github.io/web-locks/) between all processes of a user, and a blocking form.
 */

const { ERR_ILLEGAL_CONSTRUCTOR, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE } = require('../errors')
const { validateAbortSignal, validateObject } = require('../validate')
const { agent, modes, flags: { ifAvailable: IF_AVAILABLE, steal: STEAL } } = require('./agent')
const { get, getSync, give } = require('./hold')
const { Lock, HeldLock, own, enumerable } = require('./lock')
const { validLockName, tableName, lockName, noTimeout, validTimeout } = require('./valid')

/** @typedef {import('./lock').Mode} Mode */
/** @typedef {{ mode: Mode, ifAvailable: boolean, steal: boolean, signal: AbortSignal | undefined }} Options */

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
  async request (name, options, callback = undefined) {
    if (callback === undefined && typeof options === 'function') {
      callback = options
      options = undefined
    }
    name = validLockName(name)
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
    name = validLockName(name)
    const wanted = validOptions(name, options)
    noTimeout(options)
    wanted.signal?.throwIfAborted()
    return new Promise((resolve, reject) => get(askFor(name, wanted), wanted.signal, (error, grant) => {
      if (error !== undefined) reject(error)
      else resolve(grant && new HeldLock(own, name, wanted.mode, grant))
    }))
  }

  /**
   * As `acquire`, but blocks the thread meanwhile. `null`: not within `timeout` milliseconds. A thread that is blocked aborts no `signal`;
   * one that is aborted already counts.
   * @param {string} name
   * @param {any} [options]
   * @returns {InstanceType<typeof HeldLock> | null}
   */
  acquireSync (name, options) {
    name = validLockName(name)
    const wanted = validOptions(name, options)
    const timeout = validTimeout(options?.timeout)
    wanted.signal?.throwIfAborted()
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
      name: lockName(name),
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

// As what the Web's bindings make.
enumerable(LockManager.prototype, ['request', 'acquire', 'acquireSync', 'query'])

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
    const lose = () => reject(new DOMException('The lock was stolen by another request', 'AbortError'))
    if (grant !== null) grant.onStolen = lose
    // Whoever stole it may be faster with all they do than their word of it is here.
    const ended = /** @param {(result: any) => void} settle */ settle => /** @param {any} result */ result => {
      if (grant === null || give(grant)) settle(result)
      else lose()
    }
    call(callback, grant && new Lock(own, name, wanted.mode, grant.ownerDied)).then(ended(resolve), ended(reject))
  })
}

/**
 * Not before the present callback of the event loop has ended.
 * @param {Function} callback
 * @param {InstanceType<typeof Lock> | null} lock
 */
async function call (callback, lock) {
  await undefined
  return callback(lock)
}

/**
 * @param {string} name
 * @param {Options} wanted
 */
function askFor (name, { mode, ifAvailable, steal }) {
  return { name: tableName(name), mode: modes[mode], flags: (ifAvailable ? IF_AVAILABLE : 0) | (steal ? STEAL : 0), count: 1, limit: 1 }
}

/**
 * @param {string} name
 * @param {any} options
 * @returns {Options}
 */
function validOptions (name, options) {
  if (options == null) options = {}
  validateObject(options, 'options', { function: true, array: true })
  // In this order, as the Web's bindings read them.
  const { ifAvailable, mode = 'exclusive', signal, steal } = options
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
  return { mode: /** @type {Mode} */ (`${mode}`), ifAvailable: Boolean(ifAvailable), steal: Boolean(steal), signal }
}

/** @param {string} message */
function notSupported (message) {
  return new DOMException(message, 'NotSupportedError')
}

module.exports = { locks: new LockManager(own) }
