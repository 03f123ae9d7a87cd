'use strict'

/**
 * The parent's side of fork's channel: `send`, `'message'`, `disconnect`. The other side is Node's own, so what travels is
 * exactly what Node sends: see codec.js and, for handles, transfer.js.
 */

const { EventEmitter } = require('node:events')
const { deprecate } = require('node:util')
const native = require('../native')
const {
  ERR_INVALID_ARG_TYPE, ERR_IPC_CHANNEL_CLOSED, ERR_IPC_DISCONNECTED, ERR_MISSING_ARGS, errnoException
} = require('../errors')
const { validateObject } = require('../validate')
const { revive } = require('../shared/passing')
const { codecs } = require('./codec')
const { Outbox } = require('./outbox')
const { HandleQueue } = require('./transfer')

module.exports = { setupChannel }

// The events of src/node/process_channel.rs.
const DATA = 0
const DESCRIPTOR = 1
const DRAIN = 3

/** Bytes that wait to be sent, above which `send` answers false. */
const HIGH_WATER = 128 * 1024
const INTERNAL = 'NODE_'
const OLD = '_channel is deprecated. Use ChildProcess.channel instead.'

/**
 * Gives `child` its channel.
 * @param {any} child
 * @param {number} fd
 * @param {'json' | 'advanced'} serialization
 * @returns {{ release (): void }} to be told when `'spawn'` has been emitted: nothing is received before
 */
function setupChannel (child, fd, serialization) {
  const channel = new Channel(child, fd, serialization)
  /** @type {Record<string, any>} */
  const members = {
    connected: true,
    channel: new Control(channel),
    _handleQueue: null,
    _pendingMessage: null,
    send: channel.sendChecked.bind(channel),
    _send: channel.send.bind(channel),
    disconnect () { channel.disconnect() },
    _disconnect () { channel.leave() }
  }
  Object.assign(child, members)
  const old = { get: deprecate(() => child.channel, OLD, 'DEP0129'), set: deprecate((/** @type {any} */ value) => { child.channel = value }, OLD, 'DEP0129') }
  Object.defineProperty(child, '_channel', { ...old, configurable: true, enumerable: false })
  child.on('newListener', () => process.nextTick(() => channel.deliverPending()))
  return channel
}

/** `child.channel`: does the channel keep this process alive? */
class Control extends EventEmitter {
  #channel

  /** @param {Channel} channel */
  constructor (channel) {
    super()
    this.#channel = channel
  }

  get fd () { return this.#channel.fd }
  ref () { this.#channel.setRef(true) }
  unref () { this.#channel.setRef(false) }
}

class Channel {
  #child
  #codec
  #decoder
  #native
  #outbox
  #handles
  /** Messages that came while nobody listened. @type {[any, any][]} */
  #pending = []
  /** A descriptor whose message has not come whole. */
  #descriptor = -1
  /** The other side sends no more. */
  #ended = false
  #closed = false

  /**
   * @param {any} child
   * @param {number} fd
   * @param {'json' | 'advanced'} serialization
   */
  constructor (child, fd, serialization) {
    this.#child = child
    this.#codec = codecs[serialization]
    this.#decoder = this.#codec.decoder()
    this.#native = new native.NativeChannel(fd, (event, a, b, c) => this.#on(event, a, b, c))
    this.#outbox = new Outbox(this.#native)
    this.#handles = new HandleQueue(child, (message, handle, options, callback) => this.send(message, handle, options, callback))
  }

  get fd () { return this.#closed ? undefined : this.#native.fd }

  /** @param {boolean} referenced */
  setRef (referenced) { this.#native.setRef(referenced) }

  release () { this.#native.resume() }

  /**
   * `child.send`.
   * @param {any} message
   * @param {any} handle
   * @param {any} options
   * @param {any} callback
   */
  sendChecked (message, handle, options, callback) {
    if (typeof handle === 'function') [handle, options, callback] = [undefined, undefined, handle]
    else if (typeof options === 'function') [options, callback] = [undefined, options]
    else if (options !== undefined) validateObject(options, 'options')
    options = { swallowErrors: false, ...options }
    if (this.#child.connected) return this.#child._send(message, handle, options, callback)
    this.#fail(new ERR_IPC_CHANNEL_CLOSED(), callback)
    return false
  }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {any} options
   * @param {any} callback
   * @returns {boolean} may more be sent at once?
   */
  send (message, handle, options, callback) {
    if (message === undefined) throw new ERR_MISSING_ARGS('message')
    if (!['string', 'object', 'number', 'boolean'].includes(typeof message)) {
      throw new ERR_INVALID_ARG_TYPE('message', ['string', 'object', 'number', 'boolean'], message)
    }
    if (typeof options === 'boolean') options = { swallowErrors: options }
    const outgoing = this.#handles.prepare(message, handle, options ?? {}, callback)
    if (outgoing === null) return this.#handles.waiting === 1
    const bytes = this.#codec.encode(outgoing.message)
    const status = this.#outbox.send(bytes, outgoing.fd, callback)
    outgoing.sent(status)
    if (status < 0 && !options?.swallowErrors) this.#fail(errnoException(status, 'write'), callback)
    return this.#outbox.length < HIGH_WATER
  }

  /** Sends no more; closes when what waits for an answer has it. */
  disconnect () {
    if (!this.#child.connected) {
      this.#child.emit('error', new ERR_IPC_DISCONNECTED())
      return
    }
    this.#child.connected = false
    if (!this.#handles.isBusy) this.#child._disconnect()
  }

  /** Closes for good. */
  leave () {
    if (this.#child.channel === null) return
    this.#child.channel = null
    this.#handles.end()
    let left = false
    const finish = () => {
      if (left) return
      left = true
      this.#close()
      this.#child.emit('disconnect')
    }
    if (this.#decoder.partial && !this.#ended) {
      // Half of a message is here: the other half is still read.
      this.#child.once('message', finish)
      this.#child.once('internalMessage', finish)
      this.#onPartialEnd = finish
    } else {
      process.nextTick(finish)
    }
  }

  /** @type {(() => void) | null} */
  #onPartialEnd = null

  /** What came while nobody listened. Where a listener throws, or was there for one message only, the rest waits. */
  deliverPending () {
    let next = 0
    try {
      while (next < this.#pending.length && this.#mayDeliver) this.#child.emit('message', ...this.#pending[next++])
    } finally {
      this.#pending.splice(0, next)
      if (this.#pending.length > 0 && this.#mayDeliver) process.nextTick(() => this.deliverPending())
    }
  }

  get #mayDeliver () { return this.#child.channel !== null && this.#child.listenerCount('message') > 0 }

  /**
   * @param {number} event
   * @param {any} a
   * @param {any} b
   * @param {any} c
   */
  #on (event, a, b, c) {
    if (event === DATA) this.#receive(Buffer.from(a, b, c))
    else if (event === DESCRIPTOR) this.#keepDescriptor(a)
    else if (event === DRAIN) this.#outbox.drain()
    else this.#end() // END, or a broken socket, as that of a killed child is: it is the end, too.
  }

  /** @param {Buffer} bytes */
  #receive (bytes) {
    try {
      for (const message of this.#decoder.push(bytes)) this.#dispatch(message)
    } catch (error) {
      this.#broken(error)
    }
  }

  /** @param {any} message */
  #dispatch (message) {
    const internal = isInternal(message)
    if (!internal) return this.#later(message, undefined, false)
    if (message.cmd === 'NODE_HANDLE') {
      const fd = this.#descriptor
      this.#descriptor = -1
      this.#handles.receive(message, fd, (inner, handle) => this.#later(inner, handle, isInternal(inner)))
    } else if (!this.#handles.answered(message)) {
      this.#later(message, undefined, true)
    } else if (!this.#child.connected && this.#child.channel !== null && !this.#handles.isBusy) {
      this.#child._disconnect()
    }
  }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {boolean} internal
   */
  #later (message, handle, internal) {
    if (this.#child.channel !== null || this.#onPartialEnd !== null) process.nextTick(deliver, this, message, handle, internal)
  }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {boolean} internal
   */
  deliver (message, handle, internal) {
    message = revive(message)
    if (internal) this.#child.emit('internalMessage', message, handle)
    else if (this.#child.listenerCount('message') > 0 && this.#isNext) this.#child.emit('message', message, handle)
    else this.#pending.push([message, handle])
  }

  /** Nothing older waits for a listener. */
  get #isNext () { return this.#pending.length === 0 || this.#child.channel === null }

  /** @param {number} fd */
  #keepDescriptor (fd) {
    if (this.#descriptor >= 0) native.closeDescriptor(this.#descriptor)
    this.#descriptor = fd
  }

  /**
   * What came is no message: nothing that follows can be trusted.
   * @param {any} error
   */
  #broken (error) {
    this.#end()
    this.#child.emit('error', error)
  }

  #end () {
    this.#ended = true
    this.#onPartialEnd?.()
    if (this.#child.connected) this.#child.disconnect()
    this.#close()
  }

  #close () {
    if (this.#closed) return
    this.#closed = true
    if (this.#descriptor >= 0) native.closeDescriptor(this.#descriptor)
    this.#descriptor = -1
    this.#native.close()
    this.#outbox.end()
    this.#child.channel = null
    this.#child._maybeClose()
  }

  /**
   * @param {Error} error
   * @param {any} callback
   */
  #fail (error, callback) {
    if (typeof callback === 'function') process.nextTick(callback, error)
    else process.nextTick(() => this.#child.emit('error', error))
  }
}

/**
 * @param {Channel} channel
 * @param {any} message
 * @param {any} handle
 * @param {boolean} internal
 */
function deliver (channel, message, handle, internal) {
  channel.deliver(message, handle, internal)
}

/** @param {any} message */
function isInternal (message) {
  return message !== null && typeof message === 'object' && typeof message.cmd === 'string' &&
    message.cmd.length > INTERNAL.length && message.cmd.startsWith(INTERNAL)
}
