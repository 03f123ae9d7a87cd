'use strict'

/**
 * The values that this thread has read of a map. While an entry's stamp in shared memory is the same, so is its value, and reading
 * it again takes a look at two words instead of a call.
 */

const { MAX_LENGTH } = require('node:buffer').constants
const { copyOf, templateOf } = require('./copies')
const { decode, isPlain } = require('./value')

/** Values kept: up to twice as many. The length of the longest, and of the longest key. */
const MOST = 4096
const LONGEST = 2048

/**
 * Where an entry's stamp and mark of use are, in words, and when it ends.
 * @typedef {{ at: number, low: number, high: number, ends: number, mark: number, bit: number }} Place
 *
 * A value and its place. `text`: JSON that was not asked for again so far; then `template` is what copies are made of.
 * @typedef {Place & { value: any, text: string | null, template: import('./copies').Template | null }} Known
 */

class Seen {
  #handle
  /** New values come into one map; when that is full it becomes the old one, and what nobody asked for goes with the old one before.
   * @type {Map<string, Known>} */
  #young = new Map()
  /** @type {Map<string, Known>} */
  #old = new Map()
  /** @type {{ segment: import('../binding.js').SharedSegment, memory: ArrayBuffer } | null} */
  #open = null
  #words = new Uint32Array(0)

  /** @param {import('../binding.js').MapHandle} handle */
  constructor (handle) {
    this.#handle = handle
  }

  /**
   * @param {string} key
   * @returns {any} `undefined`: not known, or changed since
   */
  get (key) {
    const known = this.#young.get(key) ?? this.#fromOld(key)
    if (known === undefined) return undefined
    if (!this.#isStill(known)) {
      this.#young.delete(key)
      return undefined
    }
    const { mark, bit, template } = known
    if ((this.#words[mark] & bit) === 0) Atomics.or(this.#words, mark, bit)
    if (template !== null) return copyOf(template)
    return known.text === null ? known.value : again(known, known.text)
  }

  /**
   * Keeps what was just read.
   * @param {string} key
   * @param {string | number | Buffer} stored
   * @param {any} value what that was decoded to; the caller's from now on
   * @param {{ place: Place }} desk where it was read
   */
  keep (key, stored, value, desk) {
    if (typeof stored === 'object' || (typeof stored === 'string' && stored.length > LONGEST) || key.length > LONGEST) return
    // Another SharedMap of the same map in this thread may have let the memory go.
    if (this.#words.length === 0 && !this.#map()) return
    const isJson = typeof stored === 'string' && !isPlain(stored) && typeof value === 'object' && value !== null
    const { at, low, high, ends, mark, bit } = desk.place
    this.#add(key, { value: isJson ? null : value, text: isJson ? stored : null, template: null, at, low, high, ends, mark, bit })
  }

  /** Lets the memory go. */
  close () {
    this.#young.clear()
    this.#old.clear()
    this.#words = new Uint32Array(0)
    if (this.#open !== null) this.#open.segment.close(this.#open.memory)
    this.#open = null
  }

  /** @param {Known} known */
  #isStill ({ at, low, high, ends }) {
    const words = this.#words
    return words.length > 0 && Atomics.load(words, at) === low && Atomics.load(words, at + 1) === high &&
      (ends === 0 || Date.now() < ends)
  }

  /** @param {string} key */
  #fromOld (key) {
    const known = this.#old.get(key)
    if (known !== undefined) {
      this.#old.delete(key)
      this.#add(key, known)
    }
    return known
  }

  /** @type {(key: string, known: Known) => void} */
  #add (key, known) {
    if (this.#young.size >= MOST) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, known)
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

/**
 * An object that is asked for again: from now on it is copied. This is the first copy.
 * @type {(known: Known, text: string) => any}
 */
function again (known, text) {
  known.template = templateOf(decode(text))
  known.text = null
  return copyOf(known.template)
}

module.exports = { Seen }
