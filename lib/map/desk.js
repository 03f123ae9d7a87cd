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
/** Most bytes of key and value: lengths have 32 bits, and Node 20 ends by SIGSEGV where an ArrayBuffer has more than 4 GiB. */
const LARGEST = 2 ** 32 - 2 * SMALL

class Desk {
  #handle
  #call
  /** Bytes of key and value that no entry passes. */
  #most
  #size = 0
  #bytes = Buffer.alloc(0)
  #words = new Uint32Array(0)
  #numbers = new Float64Array(0)

  /** @param {import('../binding.js').MapHandle} handle */
  constructor (handle) {
    this.#handle = handle
    this.#call = handle.caller()
    this.#most = Math.min(handle.capacity, LARGEST)
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
    if (!this.#writeKey(key, 0)) return undefined
    let status = this.#run(GET)
    while (status === LARGE) {
      // Other languages may store more.
      if (!this.#writeKey(key, this.#words[LENGTH])) throw new ERR_INVALID_STATE('the entry is larger than 4 GiB')
      status = this.#run(GET)
    }
    if (status === NO) return undefined
    const value = this.#value()
    if (this.#size > KEPT) this.#shrink()
    return value
  }

  /** @param {string} key */
  has (key) {
    return this.#writeKey(key, 0) && this.#run(HAS) !== NO
  }

  /**
   * @param {string} key
   * @param {string | number | Uint8Array} value
   * @param {number} ttl below 0: the map's
   * @param {number} version below 0: whatever is there; 0: if there is none
   * @returns {boolean} whether it was stored
   */
  put (key, value, ttl, version) {
    const fits = typeof value === 'string'
      ? this.#writeText(key, value)
      : typeof value === 'number' ? this.#writeNumber(key, value) : this.#writeBytes(key, value)
    if (!fits) throw full()
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
    if (!this.#writeKey(key, 0)) throw full()
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
    if (!this.#writeKey(key, 0)) return false
    this.#numbers[VERSION] = version
    return this.#run(DELETE) !== NO
  }

  /** @param {number} op */
  #run (op) {
    const status = this.#call(op)
    if (status < FULL) return status
    switch (status) {
      case FULL: throw full()
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
   * Writes a key, and sees to it that there is room for so many bytes behind it. `false`: there is no such entry, it would be larger
   * than the map.
   * @param {string} key
   * @param {number} more
   */
  #writeKey (key, more) {
    if (BODY + key.length * 3 + more > this.#size && !this.#fits(Buffer.byteLength(key) + more)) return false
    this.#words[KEY_LENGTH] = this.#bytes.write(key, BODY)
    return true
  }

  /**
   * Opens a desk for so many bytes of key and value, if they can be an entry's: nobody makes this process allocate more than the map has.
   * @param {number} bytes
   */
  #fits (bytes) {
    if (bytes > this.#most) {
      // A closed map says so all the same.
      this.#words[KEY_LENGTH] = 0
      this.#run(HAS)
      return false
    }
    if (BODY + bytes > this.#size) this.#open(BODY + bytes)
    return true
  }

  /** @type {(key: string, text: string) => boolean} */
  #writeText (key, text) {
    // The most that the text can take, if the desk has that: asking for its exact length costs as much as writing it.
    const most = text.length * 3
    if (!this.#writeKey(key, BODY + key.length * 3 + most <= this.#size ? most : Buffer.byteLength(text))) return false
    const words = this.#words
    words[LENGTH] = this.#bytes.write(text, BODY + words[KEY_LENGTH])
    words[KIND] = TEXT
    return true
  }

  /** @type {(key: string, number: number) => boolean} */
  #writeNumber (key, number) {
    if (!this.#writeKey(key, 0)) return false
    this.#words[KIND] = NUMERIC
    this.#words[LENGTH] = 0
    this.#numbers[NUMBER] = number
    return true
  }

  /** @type {(key: string, bytes: Uint8Array) => boolean} */
  #writeBytes (key, bytes) {
    if (!this.#writeKey(key, bytes.length)) return false
    const words = this.#words
    this.#bytes.set(bytes, BODY + words[KEY_LENGTH])
    words[KIND] = BYTES
    words[LENGTH] = bytes.length
    return true
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

function full () {
  return new ERR_INVALID_STATE('the shared map has no room for the entry: give it more capacity, or let it evict')
}

module.exports = { Desk }
