'use strict'

/** What could not leave on a channel at once: bytes in order, and whom to tell when they have left. */

const native = require('../native')

class Outbox {
  #native
  /** @type {{ bytes: Uint8Array, fd: number, callback: any }[]} */
  #waiting = []
  #sent = 0
  /** Bytes that wait. */
  length = 0

  /** @param {import('../binding').NativeChannel} native */
  constructor (native) {
    this.#native = native
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} fd a descriptor to go along, or -1
   * @param {any} callback
   * @returns {number} 0, or an errno: then nothing was taken, and `callback` is not called
   */
  send (bytes, fd, callback) {
    let sent = 0
    if (this.#waiting.length === 0) {
      sent = this.#native.write(bytes, 0, fd)
      if (sent < 0) return sent
      if (sent === bytes.length) {
        if (typeof callback === 'function') process.nextTick(callback, null)
        return 0
      }
      this.#sent = sent
    }
    // Its owner may close it before its turn comes.
    const kept = fd >= 0 && sent === 0 ? native.duplicateDescriptor(fd) : -1
    if (fd >= 0 && sent === 0 && kept < 0) return kept
    this.#waiting.push({ bytes, fd: kept, callback })
    this.length += bytes.length - sent
    return 0
  }

  /** There is room. */
  drain () {
    while (this.#waiting.length > 0) {
      const { bytes, fd, callback } = this.#waiting[0]
      // The descriptor goes with the first byte.
      const sent = this.#native.write(bytes, this.#sent, this.#sent === 0 ? fd : -1)
      if (sent < 0) return this.end()
      if (this.#sent === 0 && sent > 0) native.closeDescriptor(fd) // Only now: first it had to be sent.
      this.#sent += sent
      this.length -= sent
      if (this.#sent < bytes.length) return
      this.#sent = 0
      this.#waiting.shift()
      if (typeof callback === 'function') callback(null)
    }
  }

  /** The channel is closed: what waits is lost, as `'disconnect'` and the process's end tell. */
  end () {
    const waiting = this.#waiting
    this.#waiting = []
    this.length = 0
    for (const { fd, callback } of waiting) {
      native.closeDescriptor(fd)
      if (typeof callback === 'function') process.nextTick(callback, null)
    }
  }
}

module.exports = { Outbox }
