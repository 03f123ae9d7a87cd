'use strict'

const { zmqError } = require('./errors')
const { BY_ID, checkType, checkSupported } = require('./options')
const { context: defaultContext, engineOf } = require('./context')
const { toEvent } = require('./events')
const { track, forget } = require('./exit')
const Channel = require('./channel')
const Observer = require('./observer')

/** @typedef {InstanceType<typeof import('./context').Context>} Context */

const PAIR = 0
const LAST_TYPE = 10
const SEND_TIMEOUT = 28
const RECEIVE_TIMEOUT = 27
const RECEIVE_HWM = 24
const LINGER = 17
const MANDATORY = 33
const IPV6 = 42
const RELAXED = 53
const CONFLATE = 54
const BLOCKY = 70

/**
 * What only some types have.
 * @type {{
 *   writable: PropertyDescriptorMap,
 *   readable: PropertyDescriptorMap,
 *   subscribe: (socket: Socket, topic: unknown, on: boolean) => void
 * }}
 */
let methods

/**
 * What all socket types have. A socket with a pending operation keeps the process alive, and so does a closed one until its
 * messages have left or its `linger` is over.
 */
class Socket {
  #type
  /** @type {Context | undefined} */
  #context
  #channel
  /** @type {Map<number, unknown>} */
  #values = new Map()
  #endpoints = 0
  #blocked = false
  #closeAsked = false
  /** @type {Observer | undefined} */
  #observer
  /** Where it listens: as the user said it, as it is. @type {Map<string, string>} */
  #bound = new Map()

  /**
   * @param {number} type libzmq's number
   * @param {{ context?: Context }} [options] and the options of the type
   */
  constructor (type, options) {
    if (typeof type !== 'number') throw new TypeError('Socket type must be a number')
    if (options !== undefined && (typeof options !== 'object' || options === null)) throw new TypeError('Options must be an object')
    if (arguments.length > 2) throw new TypeError('Expected 2 arguments')
    if (!Number.isInteger(type) || type < PAIR || type > LAST_TYPE) throw zmqError('EINVAL')
    const { context = defaultContext, ...rest } = options ?? {}
    const engine = engineOf(context)
    this.#type = type
    this.#context = context
    const weak = new WeakRef(this)
    this.#channel = new Channel(type, engine, (...event) => {
      const socket = weak.deref()
      if (socket?.events !== undefined) socket.events.push(toEvent(...event))
    })
    if (!context.getBoolOption(BLOCKY)) this.setInt32Option(LINGER, 0)
    if (context.getBoolOption(IPV6)) this.setBoolOption(IPV6, true)
    track(this)
    Object.seal(this) // So that a misspelt option is an error.
    Object.assign(this, rest)
  }

  get context () { return this.#context }
  get type () { return this.#type }
  get closed () { return this.#channel.closed }
  get readable () { return !this.closed && this.#channel.readable }
  get writable () { return !this.closed && this.#channel.writable }
  get lastEndpoint () { return this.#channel.native.lastEndpoint() ?? null }
  get threadSafe () { return false }
  get securityMechanism () { return this.#values.get(44) === true || this.#values.get(45) != null ? 'plain' : null }
  /** Is there a peer, or one that we connect to, for whom messages may wait? */
  get hasPipes () { return this.#channel.native.hasPipes() }
  get isFlushed () { return this.#channel.native.isFlushed() }
  get isLingering () { return this.#channel.native.isLingering() }

  get events () {
    if (this.#observer === undefined) {
      this.#observer = Observer.of(on => this.#channel.native.observe(on), on => this.#channel.observed(on))
      if (this.closed) this.#observer.end()
    }
    return this.#observer
  }

  /** @param {string} address */
  bind (address) { return this.#later(address, () => this.#bind(address)) }
  /** @param {string} address */
  unbind (address) { return this.#later(address, () => this.#unbind(address)) }

  /** @param {string} address */
  bindSync (address) {
    this.#check(address)
    this.#bind(address)
  }

  /** @param {string} address */
  unbindSync (address) {
    this.#check(address)
    this.#unbind(address)
  }

  /** @param {string} address */
  connect (address) {
    this.#check(address)
    checkSupported(this.#values)
    this.#done(this.#channel.native.connect(address), address, 1)
  }

  /** @param {string} address */
  disconnect (address) {
    this.#check(address)
    this.#channel.flush()
    this.#done(this.#channel.native.disconnect(address), address, -1)
  }

  close () {
    if (this.closed) return
    this.#closeAsked = this.#blocked
    if (this.#blocked) return
    this.#channel.close()
    this.#context = undefined
    forget(this)
    if (this.#observer === undefined) return
    for (const address of this.#bound.values()) this.#observer.push({ type: 'close', address })
    this.#observer.end()
  }

  /** @param {number} id */
  getBoolOption (id) { return /** @type {boolean} */ (this.#get(id)) }
  /** @param {number} id */
  getInt32Option (id) { return /** @type {number} */ (this.#get(id)) }
  /** @param {number} id */
  getUint32Option (id) { return /** @type {number} */ (this.#get(id)) }
  /** @param {number} id */
  getInt64Option (id) { return /** @type {number} */ (this.#get(id)) }
  /** @param {number} id */
  getUint64Option (id) { return /** @type {number} */ (this.#get(id)) }

  /** @param {number} id */
  getStringOption (id) {
    const value = this.#get(id)
    return value === null || value === undefined ? null : String(value)
  }

  /** @type {(id: number, value: boolean) => void} */
  setBoolOption (id, value) { this.#set(id, checkType('bool', value)) }
  /** @type {(id: number, value: number) => void} */
  setInt32Option (id, value) { this.#set(id, checkType('int32', value)) }
  /** @type {(id: number, value: number) => void} */
  setUint32Option (id, value) { this.#set(id, checkType('uint32', value)) }
  /** @type {(id: number, value: number) => void} */
  setInt64Option (id, value) { this.#set(id, checkType('int64', value)) }
  /** @type {(id: number, value: number) => void} */
  setUint64Option (id, value) { this.#set(id, checkType('uint64', value)) }
  /** @type {(id: number, value: string | Buffer | null) => void} */
  setStringOption (id, value) { this.#set(id, checkType('string', value)) }

  /** @param {number} id */
  #get (id) {
    const option = BY_ID.get(id)
    if (option === undefined || this.closed) throw zmqError(this.closed ? 'EBADF' : 'EINVAL')
    return this.#values.has(id) ? this.#values.get(id) : option.initial
  }

  /**
   * @param {number} id
   * @param {unknown} value
   */
  #set (id, value) {
    const option = BY_ID.get(id)
    if (this.closed) throw zmqError('EBADF')
    if (option === undefined) throw zmqError('EINVAL')
    if (!option.immediate && (this.#endpoints > 0 || this.#blocked)) {
      process.emitWarning('Socket option will not take effect until next connect/bind.')
    }
    if (option.keeper === 'native') this.#tell(option, value)
    this.#values.set(id, value)
    const channel = this.#channel
    if (id === SEND_TIMEOUT) channel.sendTimeout = Number(value)
    else if (id === RECEIVE_TIMEOUT) channel.receiveTimeout = Number(value)
    else if (id === RECEIVE_HWM) channel.highWaterMark = Number(value)
    else if (id === CONFLATE) channel.conflate = Boolean(value)
    else if (id === MANDATORY) channel.single = Boolean(value)
    else if (id === RELAXED) channel.relaxed = Boolean(value)
    if (option.immediate) channel.refresh()
  }

  /**
   * @param {import('./options').Option} option
   * @param {any} value
   */
  #tell ({ id, type }, value) {
    const { native } = this.#channel
    const bytes = type === 'string' && value !== null ? Buffer.from(value) : null
    const result = type === 'string' ? native.setBytes(id, bytes) : native.setNumber(id, Number(value))
    if (result < 0) throw zmqError(result)
  }

  /**
   * @param {string} address
   * @param {() => void} act
   * @returns {Promise<void>}
   */
  #later (address, act) {
    this.#check(address)
    this.#blocked = true
    return new Promise((resolve, reject) => {
      process.nextTick(() => {
        this.#blocked = false
        try {
          act()
          resolve()
        } catch (error) {
          reject(error)
        }
        if (this.#closeAsked) this.close()
      })
    })
  }

  /** @param {string} address */
  #bind (address) {
    checkSupported(this.#values)
    const result = this.#channel.native.bind(address)
    if (result < 0 && this.#observer !== undefined) {
      this.#observer.push({ type: 'bind:error', address: address.replace(/^tcp:\/\//, ''), error: zmqError(result) })
    }
    this.#done(result, address, 1)
    if (!address.startsWith('inproc:')) this.#bound.set(address, String(this.lastEndpoint))
  }

  /** @param {string} address */
  #unbind (address) {
    this.#channel.flush()
    this.#done(this.#channel.native.unbind(address), address, -1)
    for (const [text, bound] of this.#bound) if (text === address || bound === address) this.#bound.delete(text)
  }

  /**
   * @param {number} result
   * @param {string} address
   * @param {number} endpoints
   */
  #done (result, address, endpoints) {
    if (result < 0) throw zmqError(result, { address })
    this.#endpoints += endpoints
    this.#channel.refresh()
  }

  /** @param {unknown} address */
  #check (address) {
    if (typeof address !== 'string') throw new TypeError('Address must be a string')
    this.#checkOpen()
  }

  #checkOpen () {
    if (this.#blocked) throw zmqError('EBUSY', { message: 'Socket is blocked by a bind or unbind operation' })
    if (this.closed) throw zmqError('EBADF')
  }

  static {
    const writable = {
      /**
       * Resolves when the message is queued. One at a time: `EBUSY` is thrown while another is pending.
       * @this {Socket}
       * @param {unknown} message a part, or an array of them
       */
      send (message) {
        if (message === undefined) throw new TypeError('Message must be present')
        if (this.#blocked || this.#channel.closed) this.#checkOpen()
        return this.#channel.send(message)
      },
      /**
       * Sends all messages of an array; resolves when the last one is queued.
       * @this {Socket}
       * @param {unknown[]} messages each a part, or an array of parts
       */
      sendMany (messages) {
        this.#checkOpen()
        return this.#channel.sendMany(messages)
      }
    }
    const readable = {
      /**
       * The next message. One at a time: `EBUSY` is thrown while another call is pending.
       * @this {Socket}
       */
      receive () {
        if (this.#blocked || this.#channel.closed) this.#checkOpen()
        return this.#channel.receive()
      },
      /**
       * All messages that are there, at least one.
       * @this {Socket}
       * @param {number} [max]
       */
      receiveMany (max = Infinity) {
        this.#checkOpen()
        return this.#channel.receiveMany(max)
      },
      /**
       * Messages until the socket is closed. Written by hand: an async generator takes three times as long per message.
       * @this {Socket}
       */
      [Symbol.asyncIterator] () {
        const channel = this.#channel
        return {
          next: () => channel.next(),
          return: async () => ({ done: true, value: undefined })
        }
      }
    }
    methods = {
      writable: Object.getOwnPropertyDescriptors(writable),
      readable: Object.getOwnPropertyDescriptors(readable),
      subscribe (socket, topic, on) {
        socket.#checkOpen()
        const result = socket.#channel.native.subscribe(Buffer.from(/** @type {any} */ (checkType('string', topic) ?? '')), on)
        if (result < 0) throw zmqError(result)
      }
    }
  }
}

module.exports = { Socket, methods }
