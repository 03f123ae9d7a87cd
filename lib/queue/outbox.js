'use strict'

/** Messages on their way out: written one behind the other in wire form, then sent with one call. */

const { block } = require('../blocking')
const { isAnyArrayBuffer } = require('node:util/types')
const { bytesOf, validateMemory } = require('./bytes')
const { BYTES, CUSTOM, TEXT } = require('./codec')
const { callError } = require('./errors')
const { lend, loanOf, sendLoan } = require('./loans')

/** Called directly: to look for it among all that a Buffer inherits costs a fifth of the copying of a small message. */
const { set } = Uint8Array.prototype

/** Bytes before a body: length (32 bits are enough here), tag in the upper half of the second word. */
const HEAD = 8

/**
 * A message that is not in the queue yet because there was no room. `foreign`: its bytes are the caller's, or its codec's.
 * @typedef {{ tag: number, body: Buffer, lent?: import('./loans').Lent, foreign?: boolean }} Waiting
 */

class Outbox {
  #handle
  #flushed
  #bytes
  #words
  #most
  #codec
  /** Bytes in the outbox. Between calls it is empty; what the program's own code (a codec, a `toJSON`) sends during one goes past it. */
  #used = 0

  /**
   * @param {import('../binding').QueueHandle | import('../binding').TopicHandle} handle
   * @param {import('./codec').Codec} codec
   */
  constructor (handle, codec) {
    this.#handle = handle
    this.#flushed = handle.sender()
    this.#codec = codec
    const memory = handle.outbox()
    this.#bytes = Buffer.from(memory)
    this.#words = new Uint32Array(memory)
    this.#most = handle.maxMessage
  }

  /**
   * Sends one message.
   * @param {any} value
   * @returns {Waiting | undefined} the message, if there is no room for it
   */
  send (value) {
    return this.#placed(value) ? this.#sendOne() : this.#sendLarge(value)
  }

  /**
   * Sends as many of the messages as there is room for.
   * @param {ArrayLike<any>} values
   * @param {number} from
   * @returns {number} the index of the first one that was not sent
   */
  sendMany (values, from) {
    if (this.#used > 0) return this.#sendEach(values, from)
    const { length } = values
    // The first message in the outbox.
    let first = from
    let i = from
    try {
      for (; i < length; i++) {
        const value = values[i]
        const lent = loanOf(this.#handle, value)
        if (lent === undefined && this.#append(value)) continue
        // The outbox is full, or the message is large.
        first = this.#flush(first, i)
        if (first < i) return first
        if (lent === undefined && this.#append(value)) continue
        if (this.#sendLarge(value) !== undefined) return i
        first = i + 1
      }
    } catch (error) {
      // Those before it go first; if there is no room for them, it is met again.
      first = this.#flush(first, i)
      if (first < i) return first
      throw afterSending(error, i)
    }
    return this.#flush(first, length)
  }

  /**
   * Tries a message again.
   * @param {Waiting} waiting
   * @param {import('./waiting').Block} [wait] blocks the thread while there is no room
   * @returns {boolean} whether there was room
   */
  again ({ tag, body, lent }, wait) {
    if (lent !== undefined) return sendLoan(lent, tag, body, wait?.left())
    if (body.length === 0) validateMemory(body)
    const taken = wait === undefined
      ? this.#handle.sendOne(tag, body)
      : block(wait.left(), wait.spin, (timeout, spin) => this.#handle.sendSync(tag, body, timeout, spin))
    if (taken < 0) throw callError(taken, 'send')
    return taken === 1
  }

  /**
   * Sends one message, blocking the thread while there is no room.
   * @param {any} value
   * @param {import('./waiting').Block} wait
   * @returns {boolean} whether there was room in time
   */
  sendSync (value, wait) {
    const waiting = this.#placed(value) ? this.#sendOne() : this.#message(value)
    return waiting === undefined || this.again(waiting, wait)
  }

  /**
   * Puts the only message of a call into the outbox.
   * @param {any} value
   * @returns {boolean} `false`: it must go past it
   */
  #placed (value) {
    return this.#used === 0 && loanOf(this.#handle, value) === undefined && this.#append(value)
  }

  /**
   * Sends as many of the messages as there is room for, past the outbox.
   * @param {ArrayLike<any>} values
   * @param {number} from
   * @returns {number} the index of the first one that was not sent
   */
  #sendEach (values, from) {
    let i = from
    try {
      while (i < values.length && this.#sendLarge(values[i]) === undefined) i++
      return i
    } catch (error) {
      throw afterSending(error, i)
    }
  }

  /** The only message in the outbox, if there is no room for it. */
  #sendOne () {
    const used = this.#used
    this.#used = 0
    const taken = this.#flushed(used)
    if (taken === used) return undefined
    if (taken < 0) throw callError(taken, 'send')
    return this.#copy(0)
  }

  /**
   * Memory for a message that is not copied when it is sent.
   * @param {number} size bytes
   */
  lend (size) { return lend(/** @type {import('../binding').QueueHandle} */ (this.#handle), size) }

  /**
   * Sends what was appended.
   * @param {number} first index of the first message in the outbox
   * @param {number} end index behind the last
   * @returns {number} index of the first message that was not sent
   */
  #flush (first, end) {
    const used = this.#used
    if (used === 0) return end
    this.#used = 0
    const taken = this.#flushed(used)
    if (taken === used) return end
    if (taken < 0) throw afterSending(callError(taken, 'send'), first)
    for (let at = 0; at < taken; first++) at += HEAD + ((this.#words[at >>> 2] + 7) & ~7)
    return first
  }

  /**
   * @param {any} value
   * @returns {boolean} `false`: it does not fit now
   */
  #append (value) {
    if (typeof value === 'string') return this.#appendText(TEXT, value)
    if (value instanceof Uint8Array) return this.#appendBytes(BYTES, value)
    if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return this.#appendBytes(BYTES, bytesOf(value))
    const encoded = this.#codec.encode(value)
    if (typeof encoded === 'string') return this.#appendText(this.#codec.tag, encoded)
    return this.#appendBytes(this.#codec.tag, encoded)
  }

  /** @type {(tag: number, bytes: Uint8Array) => boolean} */
  #appendBytes (tag, bytes) {
    const { length } = bytes
    if (length === 0) validateMemory(bytes)
    const at = this.#used
    const end = at + HEAD + ((length + 7) & ~7)
    if (length > this.#most || end > this.#bytes.length) return false
    this.#words[at >>> 2] = length
    this.#words[(at >>> 2) + 1] = tag << 16
    set.call(this.#bytes, bytes, at + HEAD)
    this.#used = end
    return true
  }

  /** @type {(tag: number, text: string) => boolean} */
  #appendText (tag, text) {
    const at = this.#used
    // The most that the text can take: asking for its exact length costs as much as writing it.
    if (text.length > this.#most || at + HEAD + text.length * 3 + 8 > this.#bytes.length) {
      if (text.length > this.#most) return false
      return this.#appendBytes(tag, Buffer.from(text))
    }
    const length = this.#bytes.write(text, at + HEAD)
    if (length > this.#most) return false
    this.#words[at >>> 2] = length
    this.#words[(at >>> 2) + 1] = tag << 16
    this.#used = at + HEAD + ((length + 7) & ~7)
    return true
  }

  /** @param {any} value */
  #sendLarge (value) {
    const message = this.#message(value)
    return this.again(message) ? undefined : this.#kept(message)
  }

  /**
   * The message that a value makes, to be sent later.
   * @param {any} value
   * @returns {Waiting}
   */
  encode (value) { return this.#kept(this.#message(value)) }

  /**
   * @param {any} value
   * @returns {Waiting}
   */
  #message (value) {
    if (typeof value === 'string') return { tag: TEXT, body: Buffer.from(value) }
    if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) {
      return { tag: BYTES, body: bytesOf(value), lent: loanOf(this.#handle, value), foreign: true }
    }
    const { tag } = this.#codec
    const encoded = this.#codec.encode(value)
    if (typeof encoded === 'string') return { tag, body: Buffer.from(encoded) }
    return { tag, body: bytesOf(encoded), foreign: tag === CUSTOM }
  }

  /**
   * The message with bytes of its own while it waits, but for large ones of the caller: those are read when there is room, as
   * `socket.write()` does it. A codec may encode the next value where it encoded this one.
   * @param {Waiting} message
   * @returns {Waiting}
   */
  #kept (message) {
    const { tag, body, lent, foreign } = message
    if (!foreign || lent !== undefined || (tag === BYTES && body.length > this.#most)) return message
    return { tag, body: Buffer.from(body) }
  }

  /**
   * @param {number} at
   * @returns {Waiting} with bytes of its own
   */
  #copy (at) {
    const length = this.#words[at >>> 2]
    const body = Buffer.from(this.#bytes.subarray(at + HEAD, at + HEAD + length))
    return { tag: this.#words[(at >>> 2) + 1] >>> 16, body }
  }
}

/**
 * Says how many messages of a `sendMany` were sent before it failed.
 * @param {any} error
 * @param {number} sent
 */
function afterSending (error, sent) {
  if (error instanceof Error && !('sent' in error) && Object.isExtensible(error)) Object.assign(error, { sent })
  return error
}

module.exports = { Outbox, afterSending }
