'use strict'

/**
 * The texts that this thread has read of a map. While an entry has the same version in shared memory, its text is the same, and reading
 * it again takes a look at three words instead of a call.
 */

const { MAX_LENGTH } = require('node:buffer').constants

/** Texts kept, and the length of the longest. */
const MOST = 4096
const LONGEST = 2048

const USED = 1
/** Words from a head block's begin to its version. */
const TO_VERSION = 8

/** @typedef {{ text: string, at: number, low: number, high: number, ends: number, mark: number, bit: number }} Text */

class Seen {
  #handle
  /** @type {Map<string, Text>} */
  #texts = new Map()
  /** @type {{ segment: import('../binding.js').SharedSegment, memory: ArrayBuffer } | null} */
  #open = null
  #words = new Uint32Array(0)

  /** @param {import('../binding.js').MapHandle} handle */
  constructor (handle) {
    this.#handle = handle
  }

  /**
   * @param {string} key
   * @returns {string | undefined} `undefined`: not known, or changed since
   */
  get (key) {
    const known = this.#texts.get(key)
    if (known === undefined) return undefined
    const words = this.#words
    const { at, mark, bit, ends } = known
    // The state first: a new entry in the same place had its version before it.
    if (words.length > 0 && Atomics.load(words, at) === USED && Atomics.load(words, at + TO_VERSION) === known.low &&
      Atomics.load(words, at + TO_VERSION + 1) === known.high && (ends === 0 || Date.now() < ends)) {
      if ((words[mark] & bit) === 0) Atomics.or(words, mark, bit)
      return known.text
    }
    this.#texts.delete(key)
    return undefined
  }

  /**
   * Asks the map.
   * @param {string} key
   */
  look (key) {
    const found = this.#handle.locate(key)
    if (found === null) return undefined
    const { value } = found
    if (typeof value === 'string' && value.length <= LONGEST) this.#keep(key, value, found)
    return value
  }

  /** Lets the memory go. */
  close () {
    this.#texts.clear()
    this.#words = new Uint32Array(0)
    if (this.#open !== null) this.#open.segment.close(this.#open.memory)
    this.#open = null
  }

  /**
   * @param {string} key
   * @param {string} text
   * @param {import('../binding.js').MapLocated} found
   */
  #keep (key, text, { version: [low, high], at, ends, mark, bit }) {
    // Another SharedMap of the same map in this thread may have let the memory go.
    if (this.#words.length === 0 && !this.#map()) return
    if (this.#texts.size >= MOST) this.#texts.delete(/** @type {string} */ (this.#texts.keys().next().value))
    this.#texts.set(key, { text, at: at / 4, low, high, ends, mark: mark / 4, bit })
  }

  /** `false` where the runtime gives no view of it (more than 4 GiB on Node 20, Electron): then every read is a call. */
  #map () {
    const segment = this.#handle.segment()
    // Node 20 would not refuse it, but end by SIGSEGV.
    if (segment.size > MAX_LENGTH) return false
    let memory
    try {
      memory = /** @type {ArrayBuffer} */ (segment.memory())
    } catch {
      return false
    }
    this.#open = { segment, memory }
    this.#words = new Uint32Array(memory, 0, Math.floor(memory.byteLength / 4))
    return true
  }
}

module.exports = { Seen }
