'use strict'

const { createHash } = require('node:crypto')
const { inspect } = require('node:util')
const { ERR_INVALID_THIS, ERR_MISSING_ARGS, ERR_QUEUE_FULL } = require('../errors')
const { TEXT } = require('../queue/codec')
const { callError, Failures, mayPass, PAUSE } = require('../queue/errors')
const { NOTHING } = require('../queue/inbox')
const { BURST } = require('../queue/waiting')
const { Backlog } = require('./backlog')
const { CLONE } = require('./clone')
const { Handlers } = require('./handlers')
const { Inbox } = require('./inbox')
const { openChannel } = require('./open')

/** UTF-8 has no place for it. */
const HALF_PAIR = /\p{Surrogate}/u

/** Channels that are open: they live on without a reference in the program. */
const open = new Set()

/**
 * The Web's BroadcastChannel, between all processes and threads of this user: what one posts, every other channel of its name
 * gets. It keeps the process alive until it is closed, unless `unref` was called.
 *
 * https://html.spec.whatwg.org/multipage/web-messaging.html#broadcasting-to-other-browsing-contexts
 */
class BroadcastChannel extends EventTarget {
  #name
  #place
  #handle
  #inbox
  #backlog
  #handlers = new Handlers(this)
  #failures = new Failures()
  #closed = false
  #pumping = false
  #pausing = false

  /** @param {any} name */
  constructor (name) {
    if (arguments.length === 0) throw new ERR_MISSING_ARGS('name')
    super()
    this.#name = `${name}`
    this.#place = placeOf(this.#name)
    this.#handle = openChannel(this.#place, { receives: true, codec: CLONE.tag }, () => this.#serve())
    this.#inbox = new Inbox(this.#handle, CLONE)
    this.#backlog = new Backlog(this.#handle, (count, error) => {
      warn(`${count} of the messages posted to ${inspect(this.#name)} could not be sent`, error)
    })
    this.#handle.hold(true)
    try {
      this.#listen()
    } catch (error) {
      this.#handle.close()
      throw error
    }
    open.add(this)
  }

  get name () { return own(this).#name }

  get onmessage () { return own(this).#handlers.get('message') }
  set onmessage (handler) { own(this).#handlers.set('message', handler) }

  get onmessageerror () { return own(this).#handlers.get('messageerror') }
  set onmessageerror (handler) { own(this).#handlers.set('messageerror', handler) }

  /**
   * To every other channel of this name. Never waits: while a receiver has no room, messages are kept here, up to 64 MiB.
   * Throws a DOMException ('DataCloneError') for what cannot be cloned, ERR_QUEUE_FULL beyond the bound.
   * @param {any} message
   */
  postMessage (message) {
    own(this)
    if (arguments.length === 0) throw new ERR_MISSING_ARGS('message')
    if (this.#closed) throw new DOMException('BroadcastChannel is closed.', 'InvalidStateError')
    const text = typeof message === 'string' && !HALF_PAIR.test(message)
    const body = text ? Buffer.from(message) : /** @type {Uint8Array} */ (CLONE.encode(message))
    if (!this.#backlog.send(text ? TEXT : CLONE.tag, body)) {
      throw new ERR_QUEUE_FULL('64 MiB of messages wait for a BroadcastChannel whose process takes none')
    }
  }

  /** Receives no more. What was posted before still goes out. */
  close () {
    own(this)
    if (this.#closed) return
    this.#closed = true
    open.delete(this)
    this.#inbox.settle()
    try {
      // By a handle that does not receive: it must hold nobody up.
      this.#backlog.leave(onWake => openChannel(this.#place, { receives: false, codec: CLONE.tag }, onWake))
    } finally {
      this.#handle.close()
    }
  }

  /** It keeps the process alive (so it is at first). */
  ref () {
    if (!own(this).#closed) this.#handle.hold(true)
    return this
  }

  /** It does not keep the process alive. */
  unref () {
    if (!own(this).#closed) this.#handle.hold(false)
    return this
  }

  get [Symbol.toStringTag] () { return 'BroadcastChannel' }

  /** @type {(depth: number, options: import('node:util').InspectOptions) => string} */
  [inspect.custom] (depth, options) {
    return `BroadcastChannel ${inspect({ name: this.#name, active: !this.#closed }, { ...options, depth })}`
  }

  /** @param {any} value */
  static isChannel (value) { return #handle in value }

  /** The bell rang. */
  #serve () {
    if (this.#closed) return
    try {
      this.#backlog.serve()
    } finally {
      // Who was woken is not listening any more.
      this.#pump(BURST)
    }
  }

  #listen () {
    const result = this.#handle.arm(false)
    if (result < 0) throw callError(result, 'receive')
  }

  /** @param {number} left events before the event loop gets its turn */
  #pump (left) {
    if (this.#pumping || this.#pausing || this.#closed) return
    let event
    try {
      event = this.#next()
      if (event === undefined) {
        this.#listen()
        if (this.#pausing) return
        // What came before the bell was listened for does not ring it.
        event = this.#next()
        if (event === undefined) return
      }
    } catch (error) {
      return this.#fail(error)
    }
    this.#pumping = true
    // As on the Web, what one event has set going in microtasks is over before the next. Ticks end before microtasks begin.
    const goOn = () => {
      this.#pumping = false
      this.#pump(left - 1)
    }
    if (left > 1) queueMicrotask(() => process.nextTick(goOn))
    else setImmediate(goOn)
    this.dispatchEvent(event)
  }

  /** @returns {MessageEvent | undefined} */
  #next () {
    try {
      const data = this.#inbox.take()
      this.#failures.end()
      return data === NOTHING ? undefined : new MessageEvent('message', { data })
    } catch (error) {
      if (this.#failures.isFatal(error)) throw error
      if (mayPass(error)) return this.#pause()
      // What it was is not for programs to see; the Web's event says no more either.
      return new MessageEvent('messageerror', { data: null })
    }
  }

  /** @returns {undefined} */
  #pause () {
    this.#pausing = true
    setTimeout(() => {
      this.#pausing = false
      this.#serve()
    }, PAUSE)
  }

  /**
   * It cannot receive, and would hold up those who post.
   * @param {any} error
   */
  #fail (error) {
    warn(`${inspect(this.#name)} is closed, it cannot receive`, error)
    this.close()
  }
}

module.exports = { BroadcastChannel }

for (const name of ['name', 'onmessage', 'onmessageerror', 'postMessage', 'close']) {
  Object.defineProperty(BroadcastChannel.prototype, name, { enumerable: true })
}
const isChannel = BroadcastChannel.isChannel
Reflect.deleteProperty(BroadcastChannel, 'isChannel')

/**
 * @param {any} channel
 * @returns {BroadcastChannel}
 */
function own (channel) {
  if (typeof channel !== 'object' || channel === null || !isChannel(channel)) throw new ERR_INVALID_THIS('BroadcastChannel')
  return channel
}

/**
 * Where all channels of a name meet.
 * @param {string} name any string at all
 */
function placeOf (name) {
  const plain = `BroadcastChannel: ${name}`
  if (!HALF_PAIR.test(name) && !name.includes('\0') && Buffer.byteLength(plain) <= 200) return plain
  return `BroadcastChannel of sha256 ${createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('hex')}`
}

/**
 * The Web has no event for it, and nobody called: it must not end the process either.
 * @param {string} what
 * @param {any} error
 */
function warn (what, error) {
  const warning = new Error(`BroadcastChannel: ${what}: ${error?.message}`, { cause: error })
  process.emitWarning(Object.assign(warning, { name: 'BroadcastChannelWarning', code: error?.code }))
}
