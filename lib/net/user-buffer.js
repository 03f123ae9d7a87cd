'use strict'

/** The `onread` option of a socket: data goes into the user's own memory and to his callback, not through the stream. */

class UserBuffer {
  #memory
  #next
  #callback
  /** @type {Uint8Array | null} what came while the user had said stop */
  #rest = null

  /**
   * @param {{ buffer: Uint8Array | (() => Uint8Array), callback: (length: number, buffer: Uint8Array) => boolean | void }} onread
   */
  constructor ({ buffer, callback }) {
    this.#next = typeof buffer === 'function' ? buffer : null
    this.#memory = typeof buffer === 'function' ? buffer() : buffer
    this.#callback = callback
  }

  /** @param {any} onread what the user gave; null if it is not complete */
  static of (onread) {
    const complete = onread !== null && typeof onread === 'object' && typeof onread.callback === 'function' &&
      (onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function')
    return complete ? new UserBuffer(onread) : null
  }

  get hasRest () { return this.#rest !== null }

  /**
   * @param {any} socket
   * @returns {boolean} false: the user wants no more for now
   */
  deliverRest (socket) {
    const rest = this.#rest
    this.#rest = null
    return rest === null || this.deliver(rest, socket)
  }

  /**
   * @param {Uint8Array} bytes
   * @param {any} socket the callback's `this`
   */
  deliver (bytes, socket) {
    if (this.#rest !== null) {
      this.#rest = Buffer.concat([this.#rest, bytes])
      return false
    }
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#memory.byteLength)
      this.#memory.set(part)
      at += part.length
      // It may say stop by its answer, or by pausing or destroying the socket.
      const more = this.#callback.call(socket, part.length, this.#memory) !== false && socket._handle?.reading === true
      if (this.#next !== null) this.#memory = this.#next()
      if (more) continue
      if (at < bytes.length) this.#rest = bytes.subarray(at)
      return false
    }
    return true
  }
}

module.exports = { UserBuffer }
