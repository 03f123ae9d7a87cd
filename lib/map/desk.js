'use strict'

/**
 * The memory on which a SharedMap and native code lay keys, values and answers for each other: a call with one number costs a third of
 * one with strings.
 */

const { ERR_INVALID_STATE } = require('../errors')

/** Operations. */
const GET = 0
const HAS = 1
const PUT = 2
const INCREMENT = 3
const DELETE = 4

/** Where things lie, in words of 32 bits; src/node/map.rs says what they are. */
const KEY_LENGTH = 0
const KIND = 1
const LENGTH = 2
const BIT = 3
const LOW = 4
const HIGH = 5
/** In doubles. */
const NUMBER = 3
const TTL = 4
const VERSION = 5
const AT = 6
const MARK = 7
/** In bytes. */
const BODY = 64

/** What a value is. */
const ASCII = 0
const BYTES = 1
const TEXT = 2
const NUMERIC = 3

/** Answers. */
const NO = 0
const LARGE = 2
const FULL = 3
const NO_NUMBER = 4
const CLOSED = 5

/** Bytes of a desk. Larger ones, for larger values, are kept up to KEPT. */
const SMALL = 16 * 1024
const KEPT = 1024 * 1024

class Desk {
  #handle
  #call
  #size = 0
  #bytes = Buffer.alloc(0)
  #words = new Uint32Array(0)
  #numbers = new Float64Array(0)

  /** @param {import('../binding.js').MapHandle} handle */
  constructor (handle) {
    this.#handle = handle
    this.#call = handle.caller()
    this.#open(SMALL)
  }

  /** Of the entry that `get` found. */
  get version () { return this.#numbers[VERSION] }

  /** Where the entry that `get` found can be looked at: see `Seen`. */
  get place () {
    const words = this.#words
    const numbers = this.#numbers
    return { at: numbers[AT] / 4, low: words[LOW], high: words[HIGH], ends: numbers[TTL], mark: numbers[MARK] / 4, bit: words[BIT] }
  }

  /**
   * @param {string} key
   * @returns {string | number | Buffer | undefined} as it is stored: a text with its mark
   */
  get (key) {
    this.#writeKey(key, 0)
    let status = this.#run(GET)
    while (status === LARGE) {
      const length = this.#words[LENGTH]
      this.#writeKey(key, length)
      status = this.#run(GET)
    }
    if (status === NO) return undefined
    const value = this.#value()
    if (this.#size > KEPT) this.#shrink()
    return value
  }

  /** @param {string} key */
  has (key) {
    this.#writeKey(key, 0)
    return this.#run(HAS) !== NO
  }

  /**
   * @param {string} key
   * @param {string | number | Uint8Array} value
   * @param {number} ttl below 0: the map's
   * @param {number} version below 0: whatever is there; 0: if there is none
   * @returns {boolean} whether it was stored
   */
  put (key, value, ttl, version) {
    if (typeof value === 'string') this.#writeText(key, value)
    else if (typeof value === 'number') this.#writeNumber(key, value)
    else this.#writeBytes(key, value)
    this.#numbers[TTL] = ttl
    this.#numbers[VERSION] = version
    const stored = this.#run(PUT) !== NO
    if (this.#size > KEPT) this.#shrink()
    return stored
  }

  /**
   * @param {string} key
   * @param {number} by
   * @param {number} ttl as in `put`
   */
  increment (key, by, ttl) {
    this.#writeKey(key, 0)
    this.#numbers[NUMBER] = by
    this.#numbers[TTL] = ttl
    this.#run(INCREMENT)
    return this.#numbers[NUMBER]
  }

  /**
   * @param {string} key
   * @param {number} version below 0: whatever is there
   */
  delete (key, version) {
    this.#writeKey(key, 0)
    this.#numbers[VERSION] = version
    return this.#run(DELETE) !== NO
  }

  /** @param {number} op */
  #run (op) {
    const status = this.#call(op)
    if (status < FULL) return status
    switch (status) {
      case FULL: throw new ERR_INVALID_STATE('the shared map has no room for the entry: give it more capacity, or let it evict')
      case NO_NUMBER: throw new ERR_INVALID_STATE('the value is not a number')
      case CLOSED: throw new ERR_INVALID_STATE('the shared map is closed')
      default: throw new ERR_INVALID_STATE('the shared map was asked for what it does not know')
    }
  }

  #value () {
    const words = this.#words
    const start = BODY + words[KEY_LENGTH]
    const end = start + words[LENGTH]
    switch (words[KIND]) {
      case ASCII: return this.#bytes.toString('latin1', start, end)
      case TEXT: return this.#bytes.toString('utf8', start, end)
      case NUMERIC: return this.#numbers[NUMBER]
      default: return Buffer.from(this.#bytes.subarray(start, end))
    }
  }

  /**
   * Writes a key, and sees to it that there is room for so many bytes behind it.
   * @param {string} key
   * @param {number} more
   */
  #writeKey (key, more) {
    if (BODY + key.length * 3 + more > this.#size) this.#open(BODY + key.length * 3 + more)
    this.#words[KEY_LENGTH] = this.#bytes.write(key, BODY)
  }

  /** @type {(key: string, text: string) => void} */
  #writeText (key, text) {
    // The most that the text can take: asking for its exact length costs as much as writing it.
    const most = text.length * 3
    this.#writeKey(key, most <= SMALL ? most : Buffer.byteLength(text))
    const words = this.#words
    words[LENGTH] = this.#bytes.write(text, BODY + words[KEY_LENGTH])
    words[KIND] = TEXT
  }

  /** @type {(key: string, number: number) => void} */
  #writeNumber (key, number) {
    this.#writeKey(key, 0)
    this.#words[KIND] = NUMERIC
    this.#words[LENGTH] = 0
    this.#numbers[NUMBER] = number
  }

  /** @type {(key: string, bytes: Uint8Array) => void} */
  #writeBytes (key, bytes) {
    this.#writeKey(key, bytes.length)
    const words = this.#words
    this.#bytes.set(bytes, BODY + words[KEY_LENGTH])
    words[KIND] = BYTES
    words[LENGTH] = bytes.length
  }

  /** @param {number} bytes at least */
  #open (bytes) {
    this.#size = bytes <= SMALL ? SMALL : Math.ceil(bytes / SMALL) * SMALL
    const memory = this.#handle.desk(this.#size)
    this.#bytes = Buffer.from(memory)
    this.#words = new Uint32Array(memory, 0, BODY / 4)
    this.#numbers = new Float64Array(memory, 0, BODY / 8)
  }

  /** What one large value needed is not kept for others; the version of what was found is. */
  #shrink () {
    const head = this.#words.slice()
    this.#open(SMALL)
    this.#words.set(head)
  }
}

module.exports = { Desk }
