'use strict'

const { ZmqContext } = require('../native')
const { checkType } = require('./options')
const { zmqError } = require('./errors')

/** The engines behind contexts; of no concern to users. @type {WeakMap<Context, import('../binding').ZmqContext>} */
const engines = new WeakMap()

const SHARED = Symbol('shared')
const IO_THREADS = 1
const MAX_SOCKETS = 2
const MAX_SOCKETS_LIMIT = 3
const BLOCKY = 70

/** @typedef {{ id: number, name: string, type: 'bool' | 'int32', initial: number | boolean, min?: number }} ContextOption */

/** @type {ContextOption[]} */
const OPTIONS = [
  { id: IO_THREADS, name: 'ioThreads', type: 'int32', initial: 1, min: 0 },
  { id: MAX_SOCKETS, name: 'maxSockets', type: 'int32', initial: 1023, min: 1 },
  { id: 5, name: 'maxMessageSize', type: 'int32', initial: 2 ** 31 - 1, min: 0 },
  { id: 42, name: 'ipv6', type: 'bool', initial: false },
  { id: BLOCKY, name: 'blocky', type: 'bool', initial: true }
]

/**
 * The sockets that can reach each other by `inproc://`. The default one is shared by all threads of the process.
 *
 * There are no I/O threads: the options that concern them are kept and have no effect.
 */
class Context {
  #native

  /**
   * @param {object} [options]
   * @param {symbol} [key]
   */
  constructor (options, key) {
    if (options !== undefined && (typeof options !== 'object' || options === null)) throw new TypeError('Options must be an object')
    if (arguments.length > 1 && key !== SHARED) throw new TypeError('Expected 1 argument')
    this.#native = new ZmqContext(key === SHARED)
    engines.set(this, this.#native)
    Object.seal(this)
    Object.assign(this, options)
  }

  /** @param {number} id */
  getInt32Option (id) {
    if (id === MAX_SOCKETS_LIMIT) return 65535
    return this.#get(id)
  }

  /** @param {number} id */
  getBoolOption (id) {
    return Boolean(this.#get(id))
  }

  /**
   * @param {number} id
   * @param {number} value
   */
  setInt32Option (id, value) {
    const number = /** @type {number} */ (checkType('int32', value))
    if (id === 3 || id === 4) return // threadPriority, threadSchedulingPolicy: there are no threads.
    const option = OPTIONS.find(one => one.id === id)
    if (option === undefined || number < (option.min ?? 0)) throw zmqError('EINVAL')
    if (id === MAX_SOCKETS) this.#native.setMaxSockets(number)
    this.#native.setValue(id, number)
  }

  /**
   * @param {number} id
   * @param {boolean} value
   */
  setBoolOption (id, value) {
    if (!OPTIONS.some(one => one.id === id)) throw zmqError('EINVAL')
    this.#native.setValue(id, Number(checkType('bool', value)))
  }

  /** @param {number} id */
  #get (id) {
    const option = OPTIONS.find(one => one.id === id)
    if (option === undefined) throw zmqError('EINVAL')
    return this.#native.value(id) ?? Number(option.initial)
  }
}

for (const { id, name, type } of OPTIONS) {
  const kind = type === 'bool' ? 'BoolOption' : 'Int32Option'
  Object.defineProperty(Context.prototype, name, {
    get () { return this[`get${kind}`](id) },
    set (value) { this[`set${kind}`](id, value) }
  })
}
Object.defineProperty(Context.prototype, 'maxSocketsLimit', { get () { return this.getInt32Option(MAX_SOCKETS_LIMIT) } })
Object.defineProperty(Context.prototype, 'threadPriority', { set (value) { this.setInt32Option(3, value) } })
Object.defineProperty(Context.prototype, 'threadSchedulingPolicy', { set (value) { this.setInt32Option(4, value) } })

/** The default context. */
const context = new Context(undefined, SHARED)

/**
 * @param {unknown} value
 * @returns {import('../binding').ZmqContext}
 */
function engineOf (value) {
  const engine = engines.get(/** @type {Context} */ (value))
  if (engine === undefined) throw zmqError('EINVAL')
  return engine
}

module.exports = { Context, context, engineOf }
