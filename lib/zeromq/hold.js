'use strict'

/**
 * Keeps the process and the socket alive while an operation is pending. Letting go is put off until JavaScript pauses: most
 * of the time the next operation is pending by then, and nothing need be told.
 */

/** @type {Set<object>} */
const held = new Set()

class Hold {
  #owner
  #tell
  #wanted = false
  #on = false
  #deciding = false

  /**
   * @param {object} owner
   * @param {(on: boolean) => void} tell
   */
  constructor (owner, tell) {
    this.#owner = owner
    this.#tell = tell
  }

  /** @param {boolean} wanted */
  update (wanted) {
    this.#wanted = wanted
    if (wanted === this.#on || this.#deciding) return
    if (wanted) return this.#set(true)
    this.#deciding = true
    process.nextTick(decide, this)
  }

  decide () {
    this.#deciding = false
    if (this.#wanted !== this.#on) this.#set(this.#wanted)
  }

  /** @param {boolean} on */
  #set (on) {
    this.#on = on
    if (on) held.add(this.#owner)
    else held.delete(this.#owner)
    this.#tell(on)
  }
}

module.exports = Hold

/** @param {Hold} hold */
function decide (hold) {
  hold.decide()
}
