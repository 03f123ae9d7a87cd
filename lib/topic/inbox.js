'use strict'

/**
 * Messages of a subscription on their way in: a batch is copied out of the topic with one call, then taken here. They are the
 * subscriber's own: publishers may write over their place in the topic.
 */

const { block } = require('../blocking')
const { cut } = require('../cut')
const { BYTES, decode, PART } = require('../queue/codec')
const { callError } = require('../queue/errors')
const { NOTHING, NO_MEMORY, OWN, ROW, UNCHANGED, lengthAt, offsetAt } = require('../queue/inbox')
const { View, place, show } = require('../queue/view')

/** Bytes of messages in a batch, more or less. */
const BATCH_BYTES = 256 * 1024
/** Messages of a batch for `receive`. */
const BATCH = 256

class Inbox {
  #handle
  #fetch
  #fetchSync
  #codec
  #table
  #ids
  /** Where the messages of the batch are. */
  #memory = NO_MEMORY
  /** Where those of most batches are: memory that is filled from front to back, then the next. */
  #slab = NO_MEMORY
  #count = 0
  #taken = 0
  /** Set with the subscription's end. */
  closed = false

  /**
   * @param {import('../binding').TopicHandle} handle
   * @param {import('../queue/codec').Codec} codec
   */
  constructor (handle, codec) {
    this.#handle = handle
    this.#fetch = handle.fetcher()
    this.#fetchSync = handle.blockingFetcher()
    this.#codec = codec
    this.#table = new Uint32Array(handle.table())
    this.#ids = new Float64Array(handle.ids())
  }

  /**
   * The next message, or {@link NOTHING}. What cannot be decoded throws, and is received all the same.
   * @returns {any}
   */
  take () {
    if (this.#taken === this.#count && !this.#fetched(this.#fetch(BATCH, BATCH_BYTES))) return NOTHING
    return this.#value(this.#taken++)
  }

  /**
   * All messages there are, up to `most`.
   * @param {number} most
   * @returns {any[]}
   */
  takeMany (most) {
    if (this.#taken === this.#count && !this.#fetched(this.#fetch(most, BATCH_BYTES))) return []
    const count = Math.min(this.#count - this.#taken, most)
    const values = new Array(count)
    for (let done = 0; done < count; done++) {
      // A large one can be had once only: it comes first, so that those before it do not get lost if it throws.
      const large = (this.#table[(this.#taken + 1) * ROW + 2] & PART) !== 0
      try {
        if (done > 0 && large) return values.slice(0, done)
        values[done] = this.#value(this.#taken)
      } catch (error) {
        // Those before it are received first; it comes again, alone, and throws then.
        if (done > 0) return values.slice(0, done)
        this.#taken++
        throw error
      }
      this.#taken++
    }
    return values
  }

  /**
   * The next message, blocking the thread until there is one.
   * @param {number} timeout in milliseconds; negative: for ever
   * @param {number} spin microseconds of looking without sleeping
   */
  takeSync (timeout, spin) {
    const attempt = (/** @type {number} */ timeout, /** @type {number} */ spin) => this.#fetchSync(BATCH, BATCH_BYTES, timeout, spin)
    if (this.#taken === this.#count && !this.#fetched(block(timeout, spin, attempt))) return NOTHING
    return this.take()
  }

  /**
   * Shows the messages there are, up to `most`.
   * @param {(view: InstanceType<typeof View>) => void} each
   * @param {number} most
   */
  drain (each, most) {
    if (this.#taken === this.#count && !this.#fetched(this.#fetch(most, BATCH_BYTES))) return 0
    const memory = this.#memory
    const view = new View(memory, this.#codec, false)
    const end = Math.min(this.#count, this.#taken + most)
    let seen = 0
    try {
      while (this.#taken < end && this.#memory === memory) {
        const index = this.#taken++
        const row = (index + 1) * ROW
        const tag = this.#table[row + 2]
        seen++
        if (tag & PART) {
          show(this.#part(index), tag & ~PART, this.#codec, false, each)
        } else {
          place(view, offsetAt(this.#table, row), lengthAt(this.#table, row), tag)
          each(view)
        }
      }
    } finally {
      place(view, 0, 0, -1)
    }
    return seen
  }

  /** At its end: what was not taken goes with it. */
  settle () {
    this.#memory = NO_MEMORY
    this.#count = this.#taken = 0
  }

  /**
   * @param {number} count
   * @returns {boolean} whether there is a batch
   */
  #fetched (count) {
    this.#count = this.#taken = 0
    this.#memory = NO_MEMORY
    if (count < 0) throw callError(count, 'receive')
    if (count === 0) return false
    const which = this.#table[1]
    if (which === UNCHANGED) this.#memory = this.#slab
    else this.#memory = which === OWN ? this.#handle.memory() : this.#slab = this.#handle.memory()
    this.#count = count
    return true
  }

  /** @param {number} index */
  #value (index) {
    const row = (index + 1) * ROW
    const tag = this.#table[row + 2]
    if (tag & PART) return decode(tag & ~PART, Buffer.from(this.#part(index)), this.#codec)
    const bytes = cut(this.#memory, offsetAt(this.#table, row), lengthAt(this.#table, row))
    return tag === BYTES ? bytes : decode(tag, bytes, this.#codec)
  }

  /** @param {number} index */
  #part (index) {
    const memory = this.#handle.part(this.#ids[index])
    if (typeof memory === 'number') throw callError(memory, 'receive')
    return memory
  }
}

module.exports = { Inbox }
