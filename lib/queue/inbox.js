'use strict'

/**
 * Messages on their way in. A *lease* fetches a batch with one call; the messages of it are still the queue's until they are
 * taken here, one by one or all at once. How many were taken is written into shared memory, so that the others come back if
 * this process is killed. What is not taken before the event loop goes on is given back, for other receivers, unless messages
 * are taken so fast that these would be gone in its next turn.
 */

const { block } = require('../blocking')
const { cut } = require('../cut')
const { BYTES, decode, PART } = require('./codec')
const { Message } = require('./message')
const { bodyError, callError, mayPass, undecodable } = require('./errors')
const { BY_REFERENCE, bufferOver } = require('./large')
const { ERR_INVALID_STATE } = require('../errors')

/** There is no message. */
const NOTHING = Symbol('nothing')

/** Words of a row of the table: offset, length, tag, more. The first row: number of messages, which memory. */
const ROW = 4
/** In `more`: the message was delivered before. The other bits are the upper halves of offset and length. */
const AGAIN = 1
/** Their memory is the same as before, or this lease's alone; else it is the slab's next. */
const UNCHANGED = 0
const OWN = 2

const NO_MEMORY = new ArrayBuffer(0)

/** Bytes of messages in a lease, more or less. */
const LEASE_BYTES = 256 * 1024
/** Messages of a lease for `receive`, which grows from 1 while they are taken as fast as they come. */
const MOST = 256

class Inbox {
  #handle
  #fetch
  #fetchSync
  #settled
  #codec
  #table
  #ids
  #mark
  #acknowledged
  #acknowledging
  /** Where the messages of the lease are. */
  #memory = NO_MEMORY
  /** Where those of most leases are: memory that is filled from front to back, then the next. */
  #slab = NO_MEMORY
  #count = 0
  #taken = 0
  /** Messages that were taken of the leases before. */
  #past = 0
  #most = 1
  #settling = false
  /** Set with the queue's end. */
  closed = false
  /** Set while the program's own code looks at leased messages: what it receives meanwhile is none of them. */
  busy = false
  /** Set while a lease is read in place. */
  showing = false

  /**
   * @param {import('../binding').QueueHandle} handle
   * @param {import('./codec').Codec} codec
   */
  constructor (handle, codec) {
    this.#handle = handle
    this.#fetch = handle.fetcher()
    this.#fetchSync = handle.blockingFetcher()
    this.#settled = handle.settler()
    this.#codec = codec
    this.#table = new Uint32Array(handle.table())
    this.#ids = new Float64Array(handle.ids())
    this.#mark = new Uint32Array(handle.mark())
    this.#acknowledged = handle.acknowledged
    this.#acknowledging = { ack: handle.acker(), release: handle.releaser() }
  }

  /**
   * The next message, or {@link NOTHING}. What cannot be decoded throws, and is received all the same; what cannot be had now
   * throws, and stays.
   * @returns {any}
   */
  take () {
    if (this.busy || (this.#taken === this.#count && this.#lease(this.#most) === 0)) return NOTHING
    const index = this.#taken
    this.#mark[0] = this.#taken = index + 1
    try {
      return this.#value(index)
    } catch (error) {
      if (mayPass(error) && !this.closed) this.#mark[0] = this.#taken = index
      throw error
    } finally {
      this.#took()
    }
  }

  /**
   * All messages there are, up to `most`.
   * @param {number} most
   * @returns {any[]}
   */
  takeMany (most) {
    if (this.busy || (this.#taken === this.#count && this.#lease(most) === 0)) return []
    const first = this.#taken
    const count = Math.min(this.#count - first, most)
    const values = new Array(count)
    let done = 0
    try {
      // Should the codec close the queue: what it decodes just then is received, what is behind it goes back.
      for (; done < count && !this.closed; done++) values[done] = this.#value(first + done)
    } catch (error) {
      // Those before it are received first; it comes again, alone, and throws then.
      if (done === 0) {
        if (!mayPass(error)) done = 1
        throw error
      }
    } finally {
      if (done < count) values.length = done
      if (!this.closed) this.#mark[0] = this.#taken = first + done
      this.#took()
    }
    return values
  }

  /**
   * The next message, blocking the thread until there is one.
   * @param {number} timeout in milliseconds; negative: for ever
   * @param {number} spin microseconds of looking without sleeping
   */
  takeSync (timeout, spin) {
    if (this.busy) throw new ERR_INVALID_STATE('receiveSync() cannot wait for messages that are being shown by drain() or decoded')
    if (this.#taken === this.#count) this.#leased(block(timeout, spin, (timeout, spin) => this.#fetchSync(1, LEASE_BYTES, timeout, spin)))
    if (this.#count === 0) return NOTHING
    try {
      return this.take()
    } finally {
      // Nobody knows when this thread comes to its event loop.
      if (!this.closed) this.settle()
    }
  }

  /** Gives back what was not taken: at the end of the queue, or before its messages are read in place. */
  settle () {
    // Closed by the callback of `drain`: those that it returned for are dealt with.
    if (this.showing) return this.#acknowledge(this.#mark[0] - 1, 0)
    if (this.#count === 0) return
    const result = this.#settled(this.#taken)
    this.#memory = NO_MEMORY
    this.#count = this.#taken = 0
    this.#most = 1
    if (result < 0) throw callError(result, 'receive')
  }

  /** The rows of the lease, and the word for the number of messages that were taken: for reading in place. */
  get table () { return this.#table }
  get mark () { return this.#mark }

  /**
   * The body of a message that is in a file of its own.
   * @param {number} index
   * @param {number} least bytes from which on it is that file's memory; less is copied
   */
  part (index, least) {
    const memory = this.#handle.part(this.#ids[index], least)
    if (typeof memory !== 'number') return memory
    const error = bodyError(memory)
    // Nobody can ever have it.
    if (this.#acknowledged && !mayPass(error)) this.#acknowledging.ack(this.#ids[index])
    throw error
  }

  /**
   * A body that was read in place is needed no more.
   * @param {ArrayBuffer} memory the last one of {@link part}
   */
  hide (memory) { this.#handle.hidePart(memory) }

  /**
   * Ends a lease that was read in place.
   * @param {number} seen messages that the program was shown
   * @param {number} done those of them that it dealt with: all, or all but the last
   */
  drained (seen, done) {
    // Closed by the callback: what it did not get is back in the queue.
    if (this.closed) return
    const result = this.#settled(seen)
    this.#acknowledge(done, seen)
    if (result < 0) throw callError(result, 'drain')
  }

  /** @param {number} most */
  #lease (most) {
    return this.#leased(this.#fetch(most, LEASE_BYTES))
  }

  /** @param {number} count */
  #leased (count) {
    this.#taken = this.#count = 0
    if (count < 0) throw callError(count, 'receive')
    if (count === 0) {
      this.#most = 1
      return 0
    }
    const which = this.#table[1]
    if (which === UNCHANGED) this.#memory = this.#slab
    else this.#memory = which === OWN ? this.#handle.memory() : this.#slab = this.#handle.memory()
    return this.#count = count
  }

  /**
   * Of a lease that was read in place, acknowledges the first `done` messages, and releases those from there to `seen`.
   * @type {(done: number, seen: number) => void}
   */
  #acknowledge (done, seen) {
    if (!this.#acknowledged) return
    const { ack, release } = this.#acknowledging
    let worst = 0
    for (let index = 0; index < done; index++) worst = Math.min(worst, ack(this.#ids[index]))
    for (let index = done; index < seen; index++) worst = Math.min(worst, release(this.#ids[index]))
    if (worst < 0) throw callError(worst, 'drain')
  }

  /** After messages were taken. */
  #took () {
    if (this.#taken !== this.#count) {
      if (!this.#settling) this.#settleSoon()
    } else if (!this.closed) {
      this.#finish()
    }
  }

  #finish () {
    const result = this.#settled(this.#count)
    this.#memory = NO_MEMORY
    this.#past += this.#count
    this.#count = this.#taken = 0
    if (this.#most < MOST) this.#most *= 2
    if (result < 0) throw callError(result, 'receive')
  }

  /** Others may be idle: a receiver that turns to other things keeps nothing. One that is through in another such turn goes on. */
  #settleSoon () {
    this.#settling = true
    const before = this.#past + this.#taken
    setImmediate(() => {
      this.#settling = false
      const left = this.#count - this.#taken
      if (this.closed || left === 0) return
      if (this.#past + this.#taken - before >= left) this.#settleSoon()
      else this.settle()
    })
  }

  /** @param {number} index */
  #value (index) {
    const row = (index + 1) * ROW
    const table = this.#table
    const tag = table[row + 2]
    const bytes = (tag & PART) === 0 ? cut(this.#memory, offsetAt(table, row), lengthAt(table, row)) : this.#beside(index, tag)
    const own = this.#acknowledged
    if (tag === BYTES && !own) return bytes
    return this.#decoded(index, tag & ~PART, bytes, own)
  }

  /** @type {(index: number, tag: number, bytes: Buffer, own: boolean) => any} apart, so that `#value` is small enough for loops */
  #decoded (index, tag, bytes, own) {
    // The program's codec may close the queue, and receives nothing meanwhile.
    this.#taken = index + 1
    this.busy = true
    try {
      const value = decode(tag, bytes, this.#codec)
      return own ? this.#message(index, value) : value
    } catch (error) {
      throw own ? undecodable(error, this.#message(index, bytes)) : error
    } finally {
      this.busy = false
    }
  }

  /** @type {(index: number, data: any) => InstanceType<typeof Message>} */
  #message (index, data) {
    const again = (this.#table[(index + 1) * ROW + 3] & AGAIN) !== 0
    return new Message(this.#acknowledging, data, this.#ids[index], again)
  }

  /** @type {(index: number, tag: number) => Buffer} */
  #beside (index, tag) {
    // What will be decoded is copied: its sender could still write to it.
    return tag === (BYTES | PART) ? bufferOver(this.part(index, BY_REFERENCE)) : Buffer.from(this.part(index, Infinity))
  }
}

/**
 * Where the message of a row begins.
 * @type {(table: Uint32Array, row: number) => number}
 */
function offsetAt (table, row) {
  const more = table[row + 3]
  return more <= AGAIN ? table[row] : table[row] + ((more >>> 1) & 0x7fff) * 2 ** 32
}

/**
 * Bytes of the message of a row.
 * @type {(table: Uint32Array, row: number) => number}
 */
function lengthAt (table, row) {
  const more = table[row + 3]
  return more <= AGAIN ? table[row + 1] : table[row + 1] + (more >>> 16) * 2 ** 32
}

module.exports = { Inbox, NOTHING, NO_MEMORY, OWN, ROW, UNCHANGED, lengthAt, offsetAt }
