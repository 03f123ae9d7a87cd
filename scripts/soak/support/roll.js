'use strict'

/**
 * What was published, and how far everyone is, in a SharedBuffer: it outlives whoever writes it. As in tests/soak-victim/src/roll.rs.
 *
 * | offset | |
 * |---|---|
 * | 0 | u32: what publishers did, for telling that something goes on |
 * | 4 | u32: the phase |
 * | 8 | u32: subscribers that lived to the end and found everything as it must be |
 * | 12 | u32: messages that those of them who may miss some missed |
 * | 16 | u32: messages that all of them got |
 * | 64 | four u32 a publisher: messages before the first *may* be in the topic, those before the second *are*; so many there were; 0 |
 */

/** Publishers that one roll has room for. */
const PUBLISHERS = 4096
/** No publisher goes on; all of them have ended, and the witness says what there was; it did, and the others compare. */
const [ENDING, WITNESSED, COMPARED] = [1, 2, 3]

class Roll {
  #words

  /** @param {any} buffer a SharedBuffer */
  constructor (buffer) {
    this.buffer = buffer
    this.#words = new Uint32Array(buffer.buffer, buffer.byteOffset, 16 + 4 * PUBLISHERS)
  }

  static create () {
    const { SharedBuffer } = require('../../../lib')
    return new Roll(SharedBuffer.alloc(64 + 16 * PUBLISHERS))
  }

  /** @param {string} ticket */
  static open (ticket) {
    const { SharedBuffer } = require('../../../lib')
    return new Roll(SharedBuffer.open(ticket))
  }

  get progress () { return Atomics.load(this.#words, 0) }

  get phase () { return Atomics.load(this.#words, 1) }

  set phase (phase) { Atomics.store(this.#words, 1, phase) }

  /** Of those who lived to the end. */
  get found () {
    const [ended, missed, received] = this.#words.subarray(2, 5)
    return { ended, missed, received }
  }

  /** @param {number} received @param {number} missed by one more who lived to the end */
  ended (received, missed) {
    Atomics.add(this.#words, 2, 1)
    Atomics.add(this.#words, 3, missed)
    Atomics.add(this.#words, 4, received)
  }

  /** @param {number} publisher @param {number} number */
  begin (publisher, number) { Atomics.store(this.#words, 16 + 4 * publisher, number) }

  /** @param {number} publisher @param {number} number */
  sent (publisher, number) {
    Atomics.add(this.#words, 0, number - Atomics.exchange(this.#words, 17 + 4 * publisher, number))
  }

  /** Of all publishers: what may be in the topic, what is, and what there was. */
  begun () { return this.#column(0) }
  certain () { return this.#column(1) }
  published () { return this.#column(2) }

  /** @param {number} column */
  #column (column) {
    return Array.from({ length: PUBLISHERS }, (_, publisher) => Atomics.load(this.#words, 16 + 4 * publisher + column))
  }
}

/**
 * What one subscriber has seen, and what it must see. As in tests/soak-victim/src/reader.rs. Each call gives what is wrong, if anything is.
 */
class Reader {
  #roll
  #lossy
  /** Of each publisher: what is before this number was published before the subscription began, and must not come; */
  #before
  /**
   * what is not before this one was published after it, and must come. In between both is right.
   * @type {number[]}
   */
  #after = []
  /** Of whom something came: the next number. */
  #next = new Map()
  #received = 0
  /** Messages that were left out, as the numbers show. */
  #gaps = 0

  /**
   * Before subscribing.
   * @param {Roll} roll @param {boolean} lossy
   */
  constructor (roll, lossy) {
    this.#roll = roll
    this.#lossy = lossy
    this.#before = roll.certain()
  }

  /** The subscription is there. */
  subscribed () { this.#after = this.#roll.begun() }

  /** @param {number} publisher @param {number} number */
  see (publisher, number) {
    if (publisher >= PUBLISHERS) return `corrupt: message ${number} of ${publisher}`
    const next = this.#next.get(publisher)
    const [first, due] = next === undefined ? [this.#before[publisher], this.#after[publisher]] : [next, next]
    if (number < first) return `twice, or too late: message ${number} of ${publisher} came where ${first} was due`
    if (number > due && !this.#lossy) return `lost: messages ${due} to ${number - 1} of ${publisher}`
    this.#gaps += Math.max(number - due, 0)
    this.#received++
    this.#next.set(publisher, number + 1)
  }

  /**
   * Those that were missed are counted: all that show.
   * @param {number} missed
   */
  look (missed) {
    if (missed < this.#gaps || (!this.#lossy && missed > 0)) return `lost: ${this.#gaps} messages, and ${missed} of them were counted as missed`
  }

  /**
   * Nobody publishes any more, and there is nothing more to receive: with what the witness says.
   * @param {number} missed
   */
  compare (missed) {
    const published = this.#roll.published()
    const [before, after] = [this.#before, this.#after]
    for (let publisher = 0; publisher < PUBLISHERS && !this.#lossy; publisher++) {
      const [next, all] = [this.#next.get(publisher), published[publisher]]
      if (next === undefined ? all > after[publisher] : next !== all) {
        return `lost: ${all} messages of ${publisher} were published, and this came to ${next}`
      }
    }
    const sum = from => published.reduce((total, all, publisher) => total + Math.max(all - from[publisher], 0), 0)
    const [least, most, total] = [sum(after), sum(before), this.#received + missed]
    if (total < least || total > most) {
      return `lost: ${this.#received} received and ${missed} missed, of ${least} to ${most} that were published`
    }
    const wrong = this.look(missed)
    if (wrong === undefined) this.#roll.ended(this.#received, missed)
    return wrong
  }
}

module.exports = { Roll, Reader, PUBLISHERS, ENDING, WITNESSED, COMPARED }
