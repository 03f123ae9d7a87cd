'use strict'

const { EventEmitter } = require('node:events')
const { callError, Failures, mayPass, PAUSE } = require('./errors')
const { NOTHING } = require('./receiver')
const { BURST } = require('./waiting')

/** Milliseconds until what is waited for is looked for where no bell can be had (no descriptors are left, say). */
const AGAIN = 100

/** Endpoints that wait for something: they live on without a reference in the program. */
const waiting = new Set()

/**
 * What queues, topics and subscriptions have in common: waiting in the event loop, 'message' listeners, what keeps the process
 * alive, and the end.
 */
class Endpoint extends EventEmitter {
  /** @type {import('../binding').QueueHandle | import('../binding').TopicHandle | undefined} */
  #handle
  /** @type {InstanceType<typeof import('./sender').Sender> | undefined} */
  #sender
  /** @type {InstanceType<typeof import('./receiver').Receiver> | undefined} */
  #receiver
  #listening = false
  #pumping = false
  #pausing = false
  #failures = new Failures()
  #armed = { messages: false, room: false }
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  #held = true
  #closed = false

  /** Whether it was closed. */
  get closed () { return this.#closed }

  /** Leaves. What waits is rejected with ERR_QUEUE_CLOSED, loops end. */
  close () {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#receiver?.close()
    } finally {
      this.#listening = false
      waiting.delete(this)
      clearTimeout(this.#timer)
      this.#handle?.close()
      this.#receiver?.closed()
      this.#sender?.close()
      this.emit('close')
    }
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')] () {
    this.close()
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')] () {
    this.close()
    return Promise.resolve()
  }

  /** What it waits for keeps the process alive (so it is at first). */
  ref () {
    return this.#hold(true)
  }

  /** What it waits for does not keep the process alive. */
  unref () {
    return this.#hold(false)
  }

  /** @override @type {(event: string | symbol, listener: (...args: any[]) => void) => this} */
  on (event, listener) {
    super.on(event, listener)
    return this.#listened(event)
  }

  /** @override @type {(event: string | symbol, listener: (...args: any[]) => void) => this} */
  addListener (event, listener) { return this.on(event, listener) }

  /** @override @type {(event: string | symbol, listener: (...args: any[]) => void) => this} */
  prependListener (event, listener) {
    super.prependListener(event, listener)
    return this.#listened(event)
  }

  /** @override @type {(event: string | symbol, listener: (...args: any[]) => void) => this} */
  removeListener (event, listener) {
    super.removeListener(event, listener)
    return this.#listened(event)
  }

  /** @override @type {(event: string | symbol, listener: (...args: any[]) => void) => this} */
  off (event, listener) { return this.removeListener(event, listener) }

  /** @override @type {(event?: string | symbol) => this} */
  removeAllListeners (event) {
    super.removeAllListeners(event)
    return this.#listened('message')
  }

  /**
   * For the classes on top: what it is made of.
   * @protected
   * @param {import('../binding').QueueHandle | import('../binding').TopicHandle} handle
   * @param {InstanceType<typeof import('./sender').Sender>} [sender]
   * @param {InstanceType<typeof import('./receiver').Receiver>} [receiver]
   */
  begin (handle, sender, receiver) {
    this.#handle = handle
    this.#sender = sender
    this.#receiver = receiver
  }

  /**
   * What native code calls and keeps: it must not keep the endpoint, which would never be collected. Not made in a constructor,
   * where it would share the scope of the functions that use `this`, and keep that.
   * @protected
   * @param {Endpoint} endpoint
   */
  static waker (endpoint) {
    const weak = new WeakRef(endpoint)
    return () => weak.deref()?.serve()
  }

  /**
   * The bell rang: something may have come that is waited for.
   * @protected
   */
  serve () {
    // Who was woken is not armed any more.
    this.#armed.messages = this.#armed.room = false
    this.#attend()
  }

  /**
   * Arms what is waited for, and disarms what is not. What is armed keeps the process alive. Where that fails, what is waited for is
   * looked for from time to time, until it can be armed.
   * @protected
   * @returns {Error | undefined} why it could not be armed
   */
  update () {
    const handle = this.#handle
    if (this.#closed || handle === undefined) return undefined
    const receives = this.#listening || this.#receiver?.waits === true
    const sends = this.#sender?.waits === true
    if (receives || sends) waiting.add(this)
    else waiting.delete(this)
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#timer = undefined
    let error
    if (receives !== this.#armed.messages) error = this.#arm(handle, receives, false)
    if (sends !== this.#armed.room) error = this.#arm(handle, sends, true) ?? error
    if (error === undefined || this.#closed) return undefined
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#attend(), AGAIN)
    if (!this.#held) this.#timer.unref()
    return error
  }

  /** @param {boolean} on */
  #hold (on) {
    this.#held = on
    this.#handle?.hold(on)
    if (on) this.#timer?.ref()
    else this.#timer?.unref()
    return this
  }

  #attend () {
    if (this.#closed) return
    this.#sender?.serve()
    this.#receiver?.serve()
    this.#pump()
    this.update()
  }

  /**
   * @param {import('../binding').QueueHandle | import('../binding').TopicHandle} handle
   * @param {boolean} on
   * @param {boolean} room
   * @returns {Error | undefined}
   */
  #arm (handle, on, room) {
    const result = on ? handle.arm(room) : handle.disarm(room) ?? 0
    if (result < 0) return callError(result, room ? 'send' : 'receive')
    this.#armed[room ? 'room' : 'messages'] = on
    if (result === 0) return undefined
    // What came before the bell was listened for does not ring it.
    if (room) {
      this.#sender?.serve()
    } else {
      this.#receiver?.serve()
      this.#pump()
    }
    return this.update()
  }

  /** @param {string | symbol} event */
  #listened (event) {
    if (event !== 'message' || this.#closed || this.#receiver === undefined) return this
    const listening = this.listenerCount('message') > 0
    if (listening === this.#listening) return this
    this.#listening = listening
    // Not from within `on`: the program goes on to its next line first.
    if (listening) setImmediate(() => this.#attend())
    else this.update()
    return this
  }

  #pause () {
    this.#pausing = true
    // What is listened for keeps the process alive, if anything is to.
    setTimeout(() => {
      this.#pausing = false
      this.#attend()
    }, PAUSE).unref()
  }

  /**
   * It cannot receive: it would fail for ever, and hold up those who publish.
   * @param {any} error
   */
  #fail (error) {
    try {
      this.close()
    } catch {
      // What is damaged fails at its end, too: the error that follows says it.
    }
    this.emit('error', error)
  }

  /** Hands messages to the listeners, a burst at a time. */
  #pump () {
    const receiver = this.#receiver
    if (!this.#listening || this.#pumping || this.#pausing || receiver === undefined) return
    this.#pumping = true
    try {
      for (let count = 0; count < BURST; count++) {
        if (!this.#listening || receiver.waits) return
        let message
        try {
          message = receiver.take()
          this.#failures.end()
        } catch (error) {
          if (this.#failures.isFatal(error)) return this.#fail(error)
          if (mayPass(error)) this.#pause()
          this.emit('error', error)
          if (this.#pausing) return
          continue
        }
        if (message === NOTHING) return
        this.emit('message', message)
      }
      setImmediate(() => this.#attend())
    } catch (error) {
      // A listener's. The others' messages come in a turn of their own: this goes to the program first.
      setImmediate(() => this.#attend())
      throw error
    } finally {
      this.#pumping = false
    }
  }
}

module.exports = { Endpoint }
