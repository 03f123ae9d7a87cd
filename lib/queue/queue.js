'use strict'

const { EventEmitter } = require('node:events')
const { AbortError, ERR_INVALID_ARG_TYPE, ERR_QUEUE_CLOSED } = require('../errors')
const { validateAbortSignal, validateFunction, validateInteger, validateNumber, validateObject } = require('../validate')
const { PART } = require('./codec')
const { callError } = require('./errors')
const { Inbox, NOTHING } = require('./inbox')
const { Message } = require('./message')
const { open } = require('./open')
const { Outbox } = require('./outbox')
const { View, place } = require('./view')
const { Waiting } = require('./waiting')

/** What a call gives that did not have to wait. */
const SENT = Promise.resolve()
/** Messages in one go, before the event loop gets its turn. */
const BURST = 1024
/** Words of a row of the table, see inbox.js. */
const ROW = 4
/** How long `receiveSync` looks before it sleeps, in microseconds: a sender on another core answers within that. */
const SPIN = 20

/** Queues that wait for something: they live on without a reference in the program. */
const waiting = new Set()

/**
 * A work queue in shared memory: many senders, many receivers, in any processes and threads of this user; each message goes
 * to one receiver. A pending receive, a pending send and a 'message' listener keep the process alive, unless `unref` was called.
 */
class Queue extends EventEmitter {
  #handle
  #outbox
  #inbox
  #codec
  #receivers = new Waiting(() => this.#update())
  #senders = new Waiting(() => this.#update())
  /** @type {View | undefined} */
  #view
  #listening = false
  #pumping = false
  #armed = false
  #armedForRoom = false
  #referenced = true
  #closed = false
  #burst = 0

  /**
   * @param {string | import('../../types/queue').QueueOptions} [name] a name or a ticket; without one only its ticket finds it
   * @param {import('../../types/queue').QueueOptions} [options]
   */
  constructor (name, options) {
    super()
    const self = new WeakRef(this)
    const { handle, codec } = open(name, options, () => {
      const queue = self.deref()
      if (queue !== undefined) queue.#serve()
    })
    this.#handle = handle
    this.#codec = codec
    this.#outbox = new Outbox(handle, codec)
    this.#inbox = new Inbox(handle, codec)
    this.name = handle.name ?? null
    this.ticket = handle.ticket ?? null
  }

  /** Sends; waits while the queue is full. The message is in the queue when the promise is fulfilled, whatever becomes of this process. */
  send (value, options) {
    try {
      const signal = signalOf(options)
      if (this.#senders.length > 0) return this.#sendLater(this.#outbox.encode(value), signal)
      const message = this.#outbox.send(value)
      return message === undefined ? this.#sent() : this.#sendLater(message, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sends if there is room. */
  trySend (value) {
    return this.#senders.length === 0 && this.#outbox.send(value) === undefined
  }

  /** Sends all, in order, in batches; waits while the queue is full. */
  sendMany (values, options) {
    try {
      const signal = signalOf(options)
      const list = Array.isArray(values) ? values : [...values]
      let first = this.#senders.length > 0 ? 0 : this.#outbox.sendMany(list, 0)
      if (first === list.length) return this.#sent()
      return this.#senders.add(() => {
        first = this.#outbox.sendMany(list, first)
        return first === list.length ? { value: undefined } : undefined
      }, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sends, and blocks the thread while the queue is full. `false`: it was full until the timeout. */
  sendSync (value, options = {}) {
    return this.#outbox.sendSync(value, timeoutOf(options))
  }

  /** The next message; waits for it. */
  receive (options) {
    return this.#receive(signalOf, options, value => value)
  }

  /** The next message, or `undefined` if there is none now. */
  tryReceive () {
    const value = this.#inbox.take()
    return value === NOTHING ? undefined : value
  }

  /** All messages that are there, up to `most`; waits for the first. */
  receiveMany (most = BURST, options) {
    try {
      validateInteger(most, 'most', 1)
      const signal = signalOf(options)
      const attempt = () => {
        const values = this.#inbox.takeMany(Math.min(most, BURST))
        return values.length > 0 ? { value: values } : undefined
      }
      if (this.#receivers.length === 0) {
        const values = this.#inbox.takeMany(Math.min(most, BURST))
        if (values.length > 0) return this.#received(values)
      }
      return this.#receivers.add(attempt, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The next message; blocks the thread until there is one. `undefined`: not before the timeout. */
  receiveSync (options = {}) {
    const timeout = timeoutOf(options)
    const { spin = SPIN } = options
    validateInteger(spin, 'options.spin', 0, 10_000_000)
    const value = this.#inbox.takeSync(timeout, spin)
    return value === NOTHING ? undefined : value
  }

  /** Calls `each` for every message that is there, in place: nothing is copied. The view is valid during the call only. */
  drain (each, options = {}) {
    validateFunction(each, 'each')
    validateObject(options, 'options')
    const { max = Infinity } = options
    if (max !== Infinity) validateInteger(max, 'options.max', 0)
    this.#inbox.settle()
    const view = this.#view ??= new View(this.#handle.slots(), this.#codec)
    let total = 0
    while (total < max) {
      const count = this.#drainOnce(view, each, Math.min(BURST, max - total))
      if (count === 0) break
      total += count
    }
    return total
  }

  /** Acknowledges a message of a queue with `ack: true`, as `message.ack()` does. */
  ack (message) {
    if (!(message instanceof Message)) throw new ERR_INVALID_ARG_TYPE('message', 'Message', message)
    return message.ack()
  }

  [Symbol.asyncIterator] () {
    const done = { value: undefined, done: true }
    let ended = false
    return {
      next: () => {
        if (ended || this.#closed) return Promise.resolve(done)
        return this.#receive(undefined, undefined, value => ({ value, done: false }), resolve => resolve(done))
      },
      return: () => {
        ended = true
        return Promise.resolve(done)
      },
      [Symbol.asyncIterator] () { return this }
    }
  }

  /** What it holds and did: bytes of capacity, bytes in use, messages sent and received by the handles that are open. */
  stats () {
    const stats = this.#handle.stats()
    if (stats === null) throw new ERR_QUEUE_CLOSED()
    return stats
  }

  get closed () { return this.#closed }

  /** Leaves the queue. What waits is rejected with ERR_QUEUE_CLOSED, loops end; messages stay for the others. */
  close () {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#inbox.settle()
    } finally {
      this.#inbox.closed = true
      this.#listening = false
      waiting.delete(this)
      this.#handle.close()
      this.#receivers.close()
      this.#senders.close()
      this.emit('close')
    }
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')] () {
    this.close()
    return SENT
  }

  ref () {
    this.#referenced = true
    this.#update()
    return this
  }

  unref () {
    this.#referenced = false
    this.#update()
    return this
  }

  /** What another process opens it by. */
  toJSON () {
    return { $interproc: 'Queue', ticket: this.ticket }
  }

  on (event, listener) {
    super.on(event, listener)
    return this.#listened(event)
  }

  addListener (event, listener) { return this.on(event, listener) }

  prependListener (event, listener) {
    super.prependListener(event, listener)
    return this.#listened(event)
  }

  removeListener (event, listener) {
    super.removeListener(event, listener)
    return this.#listened(event)
  }

  off (event, listener) { return this.removeListener(event, listener) }

  removeAllListeners (event) {
    super.removeAllListeners(event)
    return this.#listened('message')
  }

  #receive (read, options, wrap, closed) {
    try {
      const signal = read?.(options)
      if (this.#receivers.length === 0) {
        const value = this.#inbox.take()
        if (value !== NOTHING) return this.#received(wrap(value))
      }
      return this.#receivers.add(() => {
        const value = this.#inbox.take()
        return value === NOTHING ? undefined : { value: wrap(value) }
      }, signal, closed)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #sendLater (message, signal) {
    return this.#senders.add(() => this.#outbox.again(message) ? { value: undefined } : undefined, signal)
  }

  /** A loop of calls that never wait would keep the event loop from everything else. */
  #sent () {
    if (++this.#burst < BURST) return SENT
    this.#burst = 0
    return new Promise(resolve => setImmediate(resolve))
  }

  #received (value) {
    if (++this.#burst < BURST) return Promise.resolve(value)
    this.#burst = 0
    return new Promise(resolve => setImmediate(resolve, value))
  }

  #drainOnce (view, each, most) {
    const count = this.#handle.view(most)
    if (count < 0) throw callError(count, 'drain')
    if (count === 0) return 0
    const { table, mark } = this.#inbox
    let seen = 0
    try {
      while (seen < count) {
        const row = ++seen * ROW
        mark[0] = seen
        if (table[row + 2] & PART) this.#drainPart(each, table[row + 2], seen - 1)
        else {
          place(view, table[row], table[row + 1], table[row + 2])
          each(view)
        }
      }
    } finally {
      place(view, 0, 0, -1)
      this.#inbox.drained(seen)
    }
    return count
  }

  #drainPart (each, tag, index) {
    const memory = this.#inbox.part(index)
    const view = new View(memory, this.#codec)
    place(view, 0, memory.byteLength, tag & ~PART)
    each(view)
    place(view, 0, 0, -1)
  }

  #listened (event) {
    if (event !== 'message' || this.#closed) return this
    const listening = this.listenerCount('message') > 0
    if (listening === this.#listening) return this
    this.#listening = listening
    this.#update()
    // Not from within `on`: the program goes on to its next line first.
    if (listening) setImmediate(() => this.#serve())
    return this
  }

  /** Something may have come that is waited for. */
  #serve () {
    if (this.#closed) return
    this.#senders.serve()
    this.#receivers.serve()
    if (this.#listening && !this.#pumping) this.#pump()
    // Who was woken is not armed any more.
    this.#update(true)
  }

  /** Hands messages to the listeners, a burst at a time. */
  #pump () {
    this.#pumping = true
    try {
      for (let count = 0; count < BURST; count++) {
        if (!this.#listening || this.#receivers.length > 0) return
        let message
        try {
          message = this.#inbox.take()
        } catch (error) {
          this.emit('error', error)
          continue
        }
        if (message === NOTHING) return
        this.emit('message', message)
      }
      setImmediate(() => this.#serve())
    } finally {
      this.#pumping = false
    }
  }

  /** Arms what is waited for, disarms what is not, and keeps the process alive or lets it go. */
  #update (again = false) {
    if (this.#closed) return
    const receives = this.#receivers.length > 0 || this.#listening
    const sends = this.#senders.length > 0
    if (receives || sends) waiting.add(this)
    else waiting.delete(this)
    this.#handle.hold(this.#referenced && (receives || sends))
    if (receives !== this.#armed || (receives && again)) this.#arm(receives, false)
    if (sends !== this.#armedForRoom || (sends && again)) this.#arm(sends, true)
  }

  #arm (on, room) {
    if (room) this.#armedForRoom = on
    else this.#armed = on
    if (!on) return this.#handle.disarm(room)
    const result = this.#handle.arm(room)
    if (result < 0) throw callError(result, 'receive')
    // What came before the bell was listened for does not ring it.
    if (room) this.#senders.serve()
    else this.#receivers.serve()
    if (!room && this.#listening && !this.#pumping) this.#pump()
    this.#update()
  }
}

function signalOf (options) {
  if (options === undefined) return undefined
  validateObject(options, 'options')
  const { signal } = options
  validateAbortSignal(signal, 'options.signal')
  if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason })
  return signal
}

function timeoutOf (options) {
  validateObject(options, 'options')
  const { timeout } = options
  if (timeout === undefined || timeout === Infinity) return -1
  validateNumber(timeout, 'options.timeout', 0)
  return timeout
}

module.exports = { Queue }
