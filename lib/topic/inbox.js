'use strict'

/**
 * Messages of a subscription on their way in: a batch is copied out of the topic with one call, then taken here. They are the
 * subscriber's own: publishers may write over their place in the topic.
 */

const { block } = require('../blocking')
const { cut } = require('../cut')
const { BYTES, decode, PART } = require('../queue/codec')
const { bodyError, mayPass } = require('../queue/errors')
const { NOTHING, NO_MEMORY, OWN, ROW, UNCHANGED, lengthAt, offsetAt } = require('../queue/inbox')
const { View, place, show } = require('../queue/view')
const { ERR_INVALID_STATE } = require('../errors')

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
  /** Which batch it is. */
  #batch = 0
  /** Set with the subscription's end. */
  closed = false
  /** Set while the program's codec decodes a message: what it receives meanwhile is none of those that are here. */
  busy = false

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
   * The next message, or {@link NOTHING}. What cannot be decoded throws, and is received all the same; what cannot be had now
   * throws, and stays.
   * @returns {any}
   */
  take () {
    if (this.busy || (this.#taken === this.#count && !this.#fetched(this.#fetch(BATCH, BATCH_BYTES)))) return NOTHING
    const index = this.#taken++
    try {
      return this.#value(index)
    } catch (error) {
      if (mayPass(error) && !this.closed) this.#taken = index
      throw error
    }
  }

  /**
   * All messages there are, up to `most`.
   * @param {number} most
   * @returns {any[]}
   */
  takeMany (most) {
    if (this.busy || (this.#taken === this.#count && !this.#fetched(this.#fetch(most, BATCH_BYTES)))) return []
    const first = this.#taken
    const count = Math.min(this.#count - first, most)
    const values = new Array(count)
    let done = 0
    try {
      while (done < count) {
        // A large one can be had once only: it comes first, so that those before it do not get lost if it throws.
        if (done > 0 && (this.#table[(first + done + 1) * ROW + 2] & PART) !== 0) break
        values[done] = this.#value(first + done)
        done++
        if (this.closed) break
      }
    } catch (error) {
      // Those before it are received first; it comes again, alone, and throws then.
      if (done === 0) {
        if (!mayPass(error)) done = 1
        throw error
      }
    } finally {
      if (done < count) values.length = done
      if (!this.closed) this.#taken = first + done
    }
    return values
  }

  /**
   * The next message, blocking the thread until there is one.
   * @param {number} timeout in milliseconds; negative: for ever
   * @param {number} spin microseconds of looking without sleeping
   */
  takeSync (timeout, spin) {
    if (this.busy) throw new ERR_INVALID_STATE('receiveSync() cannot wait for messages that are being decoded')
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
    if (this.busy || (this.#taken === this.#count && !this.#fetched(this.#fetch(most, BATCH_BYTES)))) return 0
    const batch = this.#batch
    const view = new View(this.#memory, this.#codec, false)
    const end = Math.min(this.#count, this.#taken + most)
    let seen = 0
    try {
      // The callback may receive, too, and what it fetches then comes into the same table.
      while (this.#taken < end && this.#batch === batch) {
        const index = this.#taken
        const row = (index + 1) * ROW
        const tag = this.#table[row + 2]
        if (tag & PART) {
          const memory = this.#opened(index)
          seen++
          show(memory, tag & ~PART, this.#codec, false, each)
        } else {
          this.#taken = index + 1
          seen++
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
    this.#batch++
  }

  /**
   * @param {number} count
   * @returns {boolean} whether there is a batch
   */
  #fetched (count) {
    this.#count = this.#taken = 0
    this.#memory = NO_MEMORY
    this.#batch++
    // A large message that comes first may be what cannot be had.
    if (count < 0) throw bodyError(count)
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
    const bytes = tag & PART
      ? Buffer.from(this.#part(index))
      : cut(this.#memory, offsetAt(this.#table, row), lengthAt(this.#table, row))
    return tag === BYTES ? bytes : this.#decoded(tag & ~PART, bytes)
  }

  /** @type {(tag: number, bytes: Buffer) => any} */
  #decoded (tag, bytes) {
    this.busy = true
    try {
      return decode(tag, bytes, this.#codec)
    } finally {
      this.busy = false
    }
  }

  /**
   * The body of a message beside the ring, which is taken by that; what cannot be had now stays.
   * @param {number} index
   */
  #opened (index) {
    this.#taken = index + 1
    try {
      return this.#part(index)
    } catch (error) {
      if (mayPass(error)) this.#taken = index
      throw error
    }
  }

  /** @param {number} index */
  #part (index) {
    const memory = this.#handle.part(this.#ids[index])
    if (typeof memory === 'number') throw bodyError(memory)
    return memory
  }
}

module.exports = { Inbox }
