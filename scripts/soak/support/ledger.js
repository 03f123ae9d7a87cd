'use strict'

/**
 * What was sent and what was seen, in a SharedBuffer: it outlives whoever writes it. As in tests/soak-victim/src/ledger.rs.
 *
 * | offset | |
 * |---|---|
 * | 0 | u32: what anyone did, for telling that something goes on |
 * | 64 | two u32 a producer: messages before the first *may* be in the queue, those before the second *are* |
 * | … | two u32 a consumer: messages that it may have been handed, messages that it noted |
 * | … | one byte a message: without acknowledgement how often it was seen, else the bits below |
 */

/** Producers, and consumers, that one ledger has room for; and messages of each. */
const PEOPLE = 4096
const EACH = 8192
const SEEN = 1
/** Just being acknowledged: who was killed now may have done it, or not. */
const ACKNOWLEDGING = 0x40
const ACKNOWLEDGED = 0x80

class Ledger {
  #words
  #notes

  /** @param {any} buffer a SharedBuffer */
  constructor (buffer) {
    this.buffer = buffer
    this.#words = new Int32Array(buffer.buffer, buffer.byteOffset, 16 + 4 * PEOPLE)
    this.#notes = new Uint8Array(buffer.buffer, buffer.byteOffset + this.#words.byteLength, PEOPLE * EACH)
  }

  static create () {
    const { SharedBuffer } = require('../../../lib')
    return new Ledger(SharedBuffer.alloc(64 + 16 * PEOPLE + PEOPLE * EACH))
  }

  /** @param {string} ticket */
  static open (ticket) {
    const { SharedBuffer } = require('../../../lib')
    return new Ledger(SharedBuffer.open(ticket))
  }

  get progress () { return Atomics.load(this.#words, 0) }

  /** @param {number} count */
  went (count) { Atomics.add(this.#words, 0, count) }

  /** @param {number} producer @param {number} number */
  begin (producer, number) { Atomics.store(this.#words, 16 + 2 * producer, number) }

  /** @param {number} producer @param {number} number */
  sent (producer, number) {
    this.went(number - Atomics.exchange(this.#words, 17 + 2 * producer, number))
  }

  /** @param {number} consumer @param {number} count is being handed over now, at most */
  ask (consumer, count) {
    Atomics.store(this.#words, 16 + 2 * (PEOPLE + consumer), Atomics.load(this.#words, 17 + 2 * (PEOPLE + consumer)) + count)
  }

  /**
   * One more message was received.
   * @param {number} consumer @param {number} producer @param {number} number @param {boolean} ack
   * @returns {string | undefined} what is wrong with that
   */
  see (consumer, producer, number, ack) {
    if (producer >= PEOPLE || number >= EACH) return `corrupt: message ${number} of ${producer}`
    const at = producer * EACH + number
    const before = ack ? Atomics.or(this.#notes, at, SEEN) : Atomics.add(this.#notes, at, 1)
    Atomics.add(this.#words, 17 + 2 * (PEOPLE + consumer), 1)
    this.went(1)
    if (ack ? (before & ACKNOWLEDGED) !== 0 : before !== 0) return `twice: message ${number} of ${producer}`
  }

  /** @param {number} producer @param {number} number */
  acknowledging (producer, number) { Atomics.or(this.#notes, producer * EACH + number, ACKNOWLEDGING) }

  /** @param {number} producer @param {number} number */
  acknowledged (producer, number) {
    if (Atomics.or(this.#notes, producer * EACH + number, ACKNOWLEDGED) & ACKNOWLEDGED) return `twice: ${number} of ${producer} was acknowledged`
  }

  /**
   * What was sent against what was seen, at the end. Without acknowledgement a killed consumer takes along what it was just being
   * handed, and nothing more. The queue itself says how many those were: it counts each message that a program got, also if it was killed
   * then. What it counts beyond what was seen went with the dead, if they can have had so much; whatever else is missing is lost, and
   * whatever else it counts is wrong.
   * @param {boolean} ack
   * @param {number} received by the queue's count
   */
  compare (ack, received) {
    const count = { messages: 0, seen: 0, asked: 0, missing: 0, doubt: 0, unsure: 0, invented: 0 }
    for (let person = 0; person < PEOPLE; person++) {
      const [begun, sent] = [this.#words[16 + 2 * person], this.#words[17 + 2 * person]]
      const [asked, noted] = [this.#words[16 + 2 * (PEOPLE + person)], this.#words[17 + 2 * (PEOPLE + person)]]
      count.asked += Math.max(asked - noted, 0)
      const notes = this.#notes.subarray(person * EACH, (person + 1) * EACH)
      for (let number = 0; number < begun; number++) {
        const note = notes[number]
        if (note !== 0) count.seen++
        if (number < sent || note !== 0) count.messages++
        if (ack ? (note & ACKNOWLEDGED) !== 0 : note !== 0) continue
        // Its producer was killed as it sent it: it may have been there, or not.
        if (number >= sent) count.unsure++
        else if (ack && note & ACKNOWLEDGING) count.doubt++
        else count.missing++
      }
      if (begun > 0) count.invented += notes.subarray(begun).filter(note => note !== 0).length
    }
    const handed = ack ? 0 : received - count.seen
    return {
      messages: count.messages,
      handed: handed + count.doubt,
      lost: Math.max(count.missing - Math.max(Math.min(handed, count.asked), 0), 0),
      // Handed over to nobody, or neither seen nor missing: such a count is no proof.
      uncounted: ack ? 0 : Math.max(handed - count.asked, handed - count.missing - count.unsure, 0 - handed, 0),
      invented: count.invented
    }
  }
}

module.exports = { Ledger, PEOPLE, EACH }
