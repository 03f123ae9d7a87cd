'use strict'

const { ERR_QUEUE_CLOSED } = require('../errors')
const { PART } = require('./codec')
const { callError, mayPass } = require('./errors')
const { ROW, lengthAt, offsetAt } = require('./inbox')
const { View, place, show } = require('./view')
const { BURST } = require('./waiting')

/** @typedef {InstanceType<typeof View>} ViewOf */

/** Shows messages where they are, in the queue's own memory. */
class Drain {
  #inbox
  #codec
  #handle
  #lease
  #slots
  #view

  /**
   * @param {import('../binding').QueueHandle} handle
   * @param {import('./codec').Codec} codec
   * @param {InstanceType<typeof import('./inbox').Inbox>} inbox
   */
  constructor (handle, codec, inbox) {
    if (inbox.closed) throw new ERR_QUEUE_CLOSED()
    this.#inbox = inbox
    this.#codec = codec
    this.#handle = handle
    this.#lease = handle.viewer()
    this.#slots = new Uint8Array(handle.slots())
    this.#view = new View(this.#slots.buffer, codec, true)
  }

  /**
   * @param {(view: ViewOf) => void} each
   * @param {number} max
   * @returns {number} how many messages it was called for
   */
  run (each, max) {
    const inbox = this.#inbox
    if (inbox.closed) throw new ERR_QUEUE_CLOSED()
    // From within another drain: all that is there is being shown by that one.
    if (inbox.busy) return 0
    inbox.settle()
    let total = 0
    inbox.busy = inbox.showing = true
    try {
      while (total < max && !inbox.closed) {
        const count = this.#once(each, Math.min(BURST, max - total))
        if (count === 0) break
        total += count
      }
    } finally {
      inbox.busy = inbox.showing = false
    }
    return total
  }

  /** @type {(each: (view: ViewOf) => void, most: number) => number} */
  #once (each, most) {
    const view = this.#placed()
    const slots = this.#slots
    const lease = this.#lease
    const count = lease(most)
    if (count < 0) throw callError(count, 'drain')
    if (count === 0) return 0
    const inbox = this.#inbox
    const { table, mark } = inbox
    let seen = 0
    let opening = false
    try {
      // None are left where the callback transferred them away: what it did not see goes back, and comes again at once.
      while (seen < count && !inbox.closed && slots.length > 0) {
        const row = ++seen * ROW
        const tag = table[row + 2]
        mark[0] = seen
        if (tag & PART) {
          opening = true
          const memory = inbox.part(seen - 1, 0)
          opening = false
          this.#showPart(memory, tag & ~PART, each)
        } else {
          place(view, offsetAt(table, row), lengthAt(table, row), tag)
          each(view)
        }
      }
    } catch (error) {
      place(view, 0, 0, -1)
      // What may be had later was not shown.
      inbox.drained(opening && mayPass(error) ? seen - 1 : seen, seen - 1)
      throw error
    }
    place(view, 0, 0, -1)
    inbox.drained(seen, seen)
    return seen
  }

  /** The view, over memory that the program has not transferred away (`view.subarray().buffer.transfer()`). */
  #placed () {
    if (this.#slots.length === 0) {
      this.#slots = new Uint8Array(this.#handle.slots())
      this.#view = new View(this.#slots.buffer, this.#codec, true)
    }
    return this.#view
  }

  /** @type {(memory: ArrayBuffer, tag: number, each: (view: ViewOf) => void) => void} */
  #showPart (memory, tag, each) {
    try {
      show(memory, tag, this.#codec, true, each)
    } finally {
      this.#inbox.hide(memory)
    }
  }
}

module.exports = { Drain }
