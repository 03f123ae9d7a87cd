'use strict'

/**
 * Messages to send, encoded as they stand on the wire (RFC 37: a byte of flags, a length of one or eight bytes, the body),
 * until one native call takes them all.
 */

const FIRST = 4 * 1024
const LIMIT = 64 * 1024
const MORE = 1
const LONG = 2
/** Above this a string is measured before it is written: it may not fit a short frame. */
const SHORT_TEXT = 85

class Outbox {
  /** Encoded messages up to `length`. */
  bytes = Buffer.allocUnsafeSlow(FIRST)
  length = 0
  messages = 0

  /**
   * @param {unknown} message one part, or an array of them
   * @returns {void}
   */
  add (message) {
    if (Array.isArray(message)) this.#parts(message.every(isPlain) ? message : message.map(plain))
    else this.#part(message, 0)
    this.messages++
  }

  /** Is it time to hand it over? */
  get isFull () {
    return this.length >= LIMIT
  }

  clear () {
    this.length = this.messages = 0
    if (this.bytes.length > 4 * LIMIT) this.bytes = Buffer.allocUnsafeSlow(LIMIT)
  }

  /** @param {unknown[]} parts that are plain: what throws between two frames would leave half of a message here */
  #parts (parts) {
    const last = parts.length - 1
    for (let index = 0; index < last; index++) this.#part(parts[index], MORE)
    this.#part(parts[last], 0)
  }

  /**
   * @param {unknown} part
   * @param {number} flags
   */
  #part (part, flags) {
    if (typeof part === 'string') return this.#text(part, flags)
    if (part instanceof Uint8Array) return this.#body(part, flags)
    if (part === null || part === undefined) return this.#header(0, flags)
    if (ArrayBuffer.isView(part)) return this.#body(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), flags)
    if (isArrayBuffer(part)) return this.#body(new Uint8Array(part), flags)
    this.#text(String(part), flags) // It may throw, or send something itself: nothing of this message is here yet.
  }

  /**
   * @param {Uint8Array} body
   * @param {number} flags
   */
  #body (body, flags) {
    const size = body.length
    this.#header(size, flags)
    const { bytes, length: at } = this
    if (size <= 32) for (let index = 0; index < size; index++) bytes[at + index] = body[index]
    else bytes.set(body, at)
    this.length = at + size
  }

  /**
   * @param {string} text
   * @param {number} flags
   */
  #text (text, flags) {
    const units = text.length
    if (units > SHORT_TEXT) {
      const size = Buffer.byteLength(text)
      this.#header(size, flags)
      this.bytes.write(text, this.length, size)
      this.length += size
      return
    }
    const at = this.#room(2 + 3 * units)
    const { bytes } = this
    let size = 0
    for (; size < units; size++) {
      const unit = text.charCodeAt(size)
      if (unit > 127) break
      bytes[at + 2 + size] = unit
    }
    if (size < units) size = bytes.write(text, at + 2)
    bytes[at] = flags
    bytes[at + 1] = size
    this.length = at + 2 + size
  }

  /**
   * The header, and room for the body behind it.
   * @param {number} size
   * @param {number} flags
   */
  #header (size, flags) {
    const at = this.#room(9 + size)
    const { bytes } = this
    if (size < 256) {
      bytes[at] = flags
      bytes[at + 1] = size
      this.length = at + 2
      return
    }
    bytes[at] = flags | LONG
    bytes.writeUInt32BE(Math.floor(size / 2 ** 32), at + 1)
    bytes.writeUInt32BE(size >>> 0, at + 5)
    this.length = at + 9
  }

  /**
   * @param {number} size
   * @returns {number} where to write
   */
  #room (size) {
    const { length } = this
    if (length + size > this.bytes.length) this.#grow(length + size)
    return length
  }

  /** @param {number} size */
  #grow (size) {
    const grown = Buffer.allocUnsafeSlow(Math.max(size, Math.min(2 * this.bytes.length, LIMIT + FIRST)))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}

module.exports = Outbox

/** @param {unknown} part is it encoded without calling any code of the user's? */
function isPlain (part) {
  if (part instanceof Uint8Array) return true
  return (typeof part !== 'object' && typeof part !== 'function') || part === null || ArrayBuffer.isView(part) || isArrayBuffer(part)
}

/** @param {unknown} part */
function plain (part) {
  return isPlain(part) ? part : String(part)
}

/**
 * @param {unknown} value also one of another realm, as in Jest
 * @returns {value is ArrayBuffer}
 */
function isArrayBuffer (value) {
  const tag = Object.prototype.toString.call(value)
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]'
}
