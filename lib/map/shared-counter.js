'use strict'

/** 64-bit counters that all processes of a user share, by name. Adding is one instruction on shared memory, no call. */

const native = require('../native')
const { ERR_INVALID_ARG_VALUE, ERR_INVALID_STATE, ERR_NOT_SUPPORTED } = require('../errors')
const { segmentError, validatePlace } = require('../shared/errors')

const PAGE = 'interproc counters'
const MAX_NAME = 200

/** @type {{ page: import('../binding.js').CounterPage, words: BigInt64Array } | undefined} */
let open

class SharedCounter {
  /** A view of its word alone: the fastest to add to. */
  #word
  #name

  /** @param {string} name 1 to 200 bytes of UTF-8. A new counter is 0 */
  constructor (name) {
    validatePlace(name, 'name')
    const length = Buffer.byteLength(name)
    if (length === 0 || length > MAX_NAME) throw new ERR_INVALID_ARG_VALUE('name', name, `must have 1 to ${MAX_NAME} bytes of UTF-8`)
    const { page, words } = counters()
    const index = place(page, name)
    if (index === null) throw new ERR_INVALID_STATE('there are as many shared counters as there can be (4096)')
    this.#word = new BigInt64Array(words.buffer, index * 8, 1)
    this.#name = name
  }

  get name () { return this.#name }

  get value () { return Atomics.load(this.#word, 0) }
  set value (value) { Atomics.store(this.#word, 0, value) }

  /**
   * Adds, and gives what was there before, as `Atomics.add` does.
   * @param {bigint} [by]
   */
  add (by = 1n) { return Atomics.add(this.#word, 0, by) }

  /** @param {bigint} [by] */
  sub (by = 1n) { return Atomics.sub(this.#word, 0, by) }

  /** @param {bigint} mask */
  and (mask) { return Atomics.and(this.#word, 0, mask) }

  /** @param {bigint} mask */
  or (mask) { return Atomics.or(this.#word, 0, mask) }

  /** @param {bigint} mask */
  xor (mask) { return Atomics.xor(this.#word, 0, mask) }

  /** @param {bigint} value */
  exchange (value) { return Atomics.exchange(this.#word, 0, value) }

  /**
   * @param {bigint} expected
   * @param {bigint} value
   */
  compareExchange (expected, value) { return Atomics.compareExchange(this.#word, 0, expected, value) }

  toJSON () { return this.value.toString() }
  [Symbol.toPrimitive] (/** @type {string} */ hint) { return hint === 'string' ? this.value.toString() : this.value }

  /** All counters there are, with their values. Who looks is no user of them. */
  static list () {
    assertSupported()
    try {
      return native.listCounters(PAGE)
    } catch (error) {
      throw segmentError(error, 'open', PAGE)
    }
  }
}

/**
 * The number of the counter's word, or `null`: there is no room for another one.
 * @param {import('../binding.js').CounterPage} page
 * @param {string} name
 */
function place (page, name) {
  try {
    return page.find(name)
  } catch (error) {
    throw segmentError(error, 'open', name)
  }
}

/** The page, open in this thread from the first counter on. */
function counters () {
  if (open !== undefined) return open
  assertSupported()
  try {
    const page = new native.CounterPage(PAGE)
    open = { page, words: new BigInt64Array(/** @type {ArrayBuffer} */ (page.segment().memory()), 0, 4096) }
    return open
  } catch (error) {
    throw segmentError(error, 'open', PAGE)
  }
}

function assertSupported () {
  if (native.CounterPage !== undefined) return
  throw new ERR_NOT_SUPPORTED('SharedCounter', 'it needs file locks that end with their process (OFD locks)')
}

module.exports = { SharedCounter }
