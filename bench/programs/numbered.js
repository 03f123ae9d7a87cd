'use strict'

const COUNT = 4096 // made before the clock starts: the making of messages is not what is measured
const ZERO = '0'.charCodeAt(0)

/** Messages of `size` bytes (at least 4), each with its number in front and behind, sent round and round. */
function numbered (size) {
  const slab = Buffer.alloc(COUNT * size)
  const messages = []
  for (let i = 0; i < COUNT; i++) {
    const message = slab.subarray(i * size, (i + 1) * size)
    message.fill(i & 255)
    message.writeUInt16LE(i, 0)
    messages.push(message)
  }
  return messages
}

/**
 * Throws unless the messages come whole, in order, and none is missing or doubled. With several senders and receivers a
 * receiver gets some messages of each: then only that they are whole.
 */
class Checker {
  #size
  #ordered
  #next = 0

  constructor (size, senders = 1) {
    this.#size = size
    this.#ordered = senders === 1
  }

  /** For one who joins late: what comes must follow this message, which is looked at again. */
  static from (size, message) {
    const checker = new Checker(size)
    checker.#next = message[0] | (message[1] << 8)
    return checker
  }

  check (message) {
    if (message.length !== this.#size) throw new Error(`a message of ${message.length} bytes instead of ${this.#size}`)
    this.checkAt(message, 0)
  }

  /** The same for a message that begins at `offset` of a larger chunk. */
  checkAt (chunk, offset) {
    this.#take(chunk[offset] | (chunk[offset + 1] << 8), chunk[offset + this.#size - 1])
  }

  /** The same for one that is read in place, in the memory of a queue. */
  checkView (view) {
    if (view.length !== this.#size) throw new Error(`a message of ${view.length} bytes instead of ${this.#size}`)
    this.#take(view.getUint16(0, true), view.getUint8(this.#size - 1))
  }

  #take (number, last) {
    if (!this.#ordered) this.#next = number
    if (number !== this.#next || last !== (number & 255)) throw new Error(`message ${number} came where ${this.#next} was due`)
    this.#next = (this.#next + 1) % COUNT
  }
}

/** The same as text, for channels of text: three digits of 4 bits in front, the first of them behind, too. */
function numberedText (size) {
  return numbered(size).map((message, i) => {
    message.fill('0')
    for (let digit = 0; digit < 3; digit++) message[digit] = ZERO + ((i >> digit * 4) & 15)
    message[size - 1] = message[0]
    return message.latin1Slice()
  })
}

/** What a {@link Checker} checks, of text from one sender. */
class TextChecker {
  #size
  #next = 0

  constructor (size) {
    this.#size = size
  }

  check (text) {
    if (text.length !== this.#size) throw new Error(`a message of ${text.length} characters instead of ${this.#size}`)
    const first = text.charCodeAt(0)
    const number = (first - ZERO) | ((text.charCodeAt(1) - ZERO) << 4) | ((text.charCodeAt(2) - ZERO) << 8)
    if (number !== this.#next || text.charCodeAt(this.#size - 1) !== first) throw new Error(`message ${number} came where ${this.#next} was due`)
    this.#next = (number + 1) % COUNT
  }
}

module.exports = { COUNT, numbered, numberedText, Checker, TextChecker }
