'use strict'

const { EventEmitter } = require('node:events')
const zeromq = require('..')
const { zmqError } = require('../errors')
const monitor = require('./monitor')
const { SHORT, setOption, getOption } = require('./options')

/** @typedef {(error?: Error) => void} Done */

const SNDMORE = 2
const RESUME = Symbol('resume')
/** How often a closed socket looks whether what waits can still leave, in ms. */
const LOOK = 20
const CLASSES = {
  pair: zeromq.Pair,
  req: zeromq.Request,
  rep: zeromq.Reply,
  pub: zeromq.Publisher,
  sub: zeromq.Subscriber,
  dealer: zeromq.Dealer,
  xreq: zeromq.Dealer,
  router: zeromq.Router,
  xrep: zeromq.Router,
  pull: zeromq.Pull,
  push: zeromq.Push,
  xpub: zeromq.XPublisher,
  xsub: zeromq.XSubscriber
}

/**
 * A socket with events: `message` with the frames as arguments, `error`, `bind`, `unbind`; after `monitor()` also
 * `connect`, `accept`, `disconnect` and so on.
 *
 * `send` never refuses while the socket is open: what the high-water mark does not let through waits here, in memory, as in
 * zeromq.js. `close` lets it leave first, for as long as `linger` says; what does not leave fails in its callback.
 */
class Socket extends EventEmitter {
  #socket
  /** @type {unknown[]} */
  #frames = []
  /** @type {{ message: unknown, done: Done | null | undefined }[]} */
  #queue = []
  #sending = false
  #receiving = false
  #paused = false
  #monitored = false
  #closing = false
  /** @type {NodeJS.Timeout | undefined} */
  #look

  /** @param {string} type */
  constructor (type) {
    super()
    const Class = /** @type {Record<string, any>} */ (CLASSES)[type]
    if (!Object.hasOwn(CLASSES, type)) throw new Error(`Invalid socket type: ${type}`)
    this.type = type
    this.#socket = new Class()
    this.#receive()
  }

  get closed () { return this.#closing || this.#socket.closed }
  /** The version 6 socket underneath. */
  get inner () { return this.#socket }

  /**
   * @param {string} address
   * @param {Done} [done]
   */
  bind (address, done) {
    this.#open.bind(address).then(() => this.#told('bind', address, done), this.#failed(done))
    return this
  }

  /**
   * @param {string} address
   * @param {Done} [done]
   */
  unbind (address, done) {
    this.#open.unbind(address).then(() => this.#told('unbind', address, done), this.#failed(done))
    return this
  }

  /** @param {string} address */
  bindSync (address) {
    this.#open.bindSync(address)
    return this
  }

  /** @param {string} address */
  unbindSync (address) {
    this.#open.unbindSync(address)
    return this
  }

  /** @param {string} address */
  connect (address) {
    this.#open.connect(address)
    return this
  }

  /** @param {string} address */
  disconnect (address) {
    this.#open.disconnect(address)
    return this
  }

  /**
   * @param {unknown} message a frame, or an array of them
   * @param {number | null} [flags] `ZMQ_SNDMORE`: more frames of the message follow with the next call
   * @param {Done | null} [done] is told once: that the message is queued in the socket, or why it never will be
   */
  send (message, flags, done) {
    if (this.closed) {
      this.#fail(zmqError('EBADF'), done)
      return this
    }
    const more = ((flags ?? 0) & SNDMORE) !== 0
    if (more || this.#frames.length > 0) {
      this.#frames = this.#frames.concat(message)
      if (more) return this
      message = this.#frames
      this.#frames = []
    }
    this.#queue.push({ message, done })
    if (!this.#sending && !this.#paused) this.#send()
    return this
  }

  read () {
    throw new Error("read() has been removed from compatibility mode; use on('message', ...) instead.")
  }

  pause () { this.#paused = true }

  resume () {
    this.#paused = false
    this.emit(RESUME)
    this.#receive()
    if (!this.#sending) this.#send()
  }

  close () {
    if (this.closed) return this
    const { linger } = this.#socket
    this.#closing = true
    if (!this.#sending && this.#queue.length > 0) this.#send() // It was paused.
    const end = linger < 0 ? Infinity : Date.now() + linger
    if (linger === 0 || this.#isStuck) this.#finish()
    else this.#look = setInterval(() => { if (Date.now() >= end || this.#isStuck) this.#finish() }, LOOK)
    return this
  }

  /**
   * @param {number} [interval]
   * @param {number} [count]
   */
  monitor (interval, count) {
    if (interval || count) {
      process.emitWarning('Arguments to monitor() are ignored in compatibility mode; all events are read automatically')
    }
    if (!this.#monitored) monitor(this, this.#socket.events)
    this.#monitored = true
    return this
  }

  unmonitor () {
    this.#socket.events.close()
    return this
  }

  /** @param {string | Buffer} topic */
  subscribe (topic) {
    this.#subscriber().subscribe(topic)
    return this
  }

  /** @param {string | Buffer} topic */
  unsubscribe (topic) {
    this.#subscriber().unsubscribe(topic)
    return this
  }

  /**
   * @param {number | string} option
   * @param {unknown} value
   */
  setsockopt (option, value) {
    setOption(this.#open, option, value)
    return this
  }

  /** @param {number | string} option */
  getsockopt (option) { return getOption(this.#open, option) }

  /** Is there nothing to send, or nobody it may go to? REQ and REP wait for a message that nobody receives any more. */
  get #isStuck () {
    const socket = this.#socket
    if (!this.#sending || !socket.hasPipes) return true
    return (socket instanceof zeromq.Request || socket instanceof zeromq.Reply) && !socket.writable && socket.isFlushed
  }

  /** The socket underneath, for what a closed one does not do. */
  get #open () {
    if (this.#closing) throw zmqError('EBADF')
    return this.#socket
  }

  #subscriber () {
    const socket = this.#open
    if (socket instanceof zeromq.Subscriber) return socket
    throw new Error('Subscriber socket required')
  }

  async #receive () {
    const socket = this.#socket
    if (this.#receiving || this.#paused || this.closed || typeof socket.receiveMany !== 'function') return
    this.#receiving = true
    while (!this.closed && !this.#paused) {
      try {
        const messages = await socket.receiveMany()
        await new Promise(resolve => process.nextTick(() => this.#deliver(messages, 0, resolve)))
      } catch (error) {
        if (!this.closed) process.nextTick(() => this.emit('error', error))
        break
      }
    }
    this.#receiving = false
  }

  /**
   * Each message is an event; what a listener throws leaves here, and the next messages follow all the same.
   * @param {Buffer[][]} messages
   * @param {number} next
   * @param {(value?: unknown) => void} done
   */
  #deliver (messages, next, done) {
    try {
      while (next < messages.length && !this.#paused && !this.closed) this.emit('message', ...messages[next++])
    } finally {
      if (next === messages.length || this.closed) done()
      else if (this.#paused) this.once(RESUME, () => process.nextTick(() => this.#deliver(messages, next, done)))
      else process.nextTick(() => this.#deliver(messages, next, done))
    }
  }

  async #send () {
    const socket = this.#socket
    if (typeof socket.send !== 'function') return this.#refuse(new Error('Cannot send on this socket type.'))
    this.#sending = true
    while (this.#queue.length > 0 && !socket.closed && (this.#closing || !this.#paused)) {
      for (const { message, done } of this.#queue.splice(0, 1000)) {
        try {
          await socket.send(message)
        } catch (error) {
          this.#failed(done)(/** @type {Error} */ (error))
          continue
        }
        if (done) process.nextTick(done) // What it throws is not the sending's.
      }
    }
    this.#sending = false
    if (this.#closing) this.#finish()
  }

  /** @param {Error} error */
  #refuse (error) {
    for (const { done } of this.#queue.splice(0)) this.#failed(done)(error)
  }

  /** Everything has left, or must not. */
  #finish () {
    clearInterval(this.#look)
    this.#socket.close()
    this.#refuse(zmqError('EBADF'))
  }

  /**
   * @param {string} event
   * @param {string} address
   * @param {Done} [done]
   */
  #told (event, address, done) {
    process.nextTick(() => {
      this.emit(event, address)
      done?.()
    })
  }

  /**
   * What fails because the socket was closed is told to its callback only: who closes without waiting wants no event.
   * @param {Done | null} [done]
   * @returns {(error: Error) => void}
   */
  #failed (done) {
    return error => {
      if (done || !this.#socket.closed) this.#fail(error, done)
    }
  }

  /**
   * @param {Error} error
   * @param {Done | null} [done]
   */
  #fail (error, done) {
    process.nextTick(() => {
      if (done) done(error)
      else this.emit('error', error)
    })
  }
}

for (const name of Object.keys(SHORT)) {
  if (name in Socket.prototype) continue
  Object.defineProperty(Socket.prototype, name, {
    /** @this {Socket} */
    get () { return this.getsockopt(name) },
    /** @this {Socket} @param {unknown} value */
    set (value) { this.setsockopt(name, value) }
  })
}

module.exports = Socket
