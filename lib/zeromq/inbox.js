'use strict'

/**
 * Received messages, still as records in the memory that the addon has written them to (src/zmq/frames.rs): per frame four
 * bytes of length and flags, the body, zeros up to a multiple of four. A Buffer is cut only when its message is asked for.
 */

const MORE = 0x80000000 | 0
const SIZE = 0x3fffffff

/**
 * @typedef {{ buffer: ArrayBuffer, words: Int32Array<ArrayBufferLike>, at: number, end: number }} Records
 * @typedef {Records | { large: ArrayBuffer, more: boolean }} Run
 */

class Inbox {
  /** Whole messages. */
  count = 0
  /** @type {Run[]} */
  #runs = []
  #first = 0
  // The run that is being read.
  /** @type {ArrayBuffer} */
  #buffer = new ArrayBuffer(0)
  /** @type {Int32Array<ArrayBufferLike>} */
  #words = new Int32Array(0)
  #at = 0
  #end = 0

  /**
   * @param {ArrayBuffer} buffer
   * @param {number} offset
   * @param {number} length
   * @param {number} messages that end in it
   */
  add (buffer, offset, length, messages) {
    this.count += messages
    if (this.#at === this.#end && this.#first === this.#runs.length) return this.#open(buffer, offset, offset + length)
    this.#runs.push({ buffer, words: this.#view(buffer), at: offset, end: offset + length })
  }

  /**
   * @param {ArrayBuffer} large a frame of its own
   * @param {boolean} more
   */
  addLarge (large, more) {
    this.#runs.push({ large, more })
    if (!more) this.count++
  }

  /** @returns {Buffer[]} the next message; there must be one */
  take () {
    this.count--
    if (this.#at < this.#end) {
      // Most messages have one part.
      const at = this.#at
      const word = this.#words[at >> 2]
      if (word >= 0) {
        this.#at = at + 4 + ((word + 3) & ~3)
        return [Buffer.from(this.#buffer, at + 4, word)]
      }
    }
    return this.#several()
  }

  #several () {
    const parts = []
    for (let more = true; more;) {
      if (this.#at === this.#end) {
        const run = this.#runs[this.#first]
        this.#advance()
        if ('large' in run) {
          parts.push(Buffer.from(run.large))
          more = run.more
          continue
        }
        this.#buffer = run.buffer
        this.#words = run.words
        this.#at = run.at
        this.#end = run.end
      }
      const at = this.#at
      const word = this.#words[at >> 2]
      const size = word & SIZE
      this.#at = at + 4 + ((size + 3) & ~3)
      parts.push(Buffer.from(this.#buffer, at + 4, size))
      more = (word & MORE) !== 0
    }
    return parts
  }

  /** Lets go of the run's entry, and of the array now and then. */
  #advance () {
    this.#first++
    if (this.#first < 64 && this.#first < this.#runs.length) return
    this.#runs.splice(0, this.#first)
    this.#first = 0
  }

  /**
   * @param {ArrayBuffer} buffer
   * @param {number} at
   * @param {number} end
   */
  #open (buffer, at, end) {
    if (buffer !== this.#buffer) {
      this.#words = new Int32Array(buffer)
      this.#buffer = buffer
    }
    this.#at = at
    this.#end = end
  }

  /** @param {ArrayBuffer} buffer */
  #view (buffer) {
    if (buffer === this.#buffer) return this.#words
    const last = this.#runs[this.#runs.length - 1]
    return last !== undefined && 'words' in last && last.buffer === buffer ? last.words : new Int32Array(buffer)
  }

  /** Throws everything away. */
  clear () {
    this.count = this.#first = this.#at = this.#end = 0
    this.#runs = []
    this.#buffer = new ArrayBuffer(0)
    this.#words = new Int32Array(0)
  }
}

module.exports = Inbox
