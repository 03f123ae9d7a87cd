'use strict'

const { callError } = require('../queue/errors')

/** Bytes of messages that may wait for room in one channel. More is a receiver that is stuck. */
const MOST = 64 * 1024 * 1024
/** What a waiting message takes at least. */
const OVERHEAD = 128
/** Milliseconds until it is tried again where no bell can be had (no descriptors are left, say). */
const AGAIN = 100

/** Those whose channel is closed. */
const leaving = new Set()

/** What a channel sends: messages wait here for room, in their order. */
class Backlog {
  #handle
  #lost
  /** @type {{ tag: number, body: Uint8Array }[]} */
  #messages = []
  #first = 0
  #bytes = 0
  #armed = false
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /**
   * @param {import('../binding').TopicHandle} handle
   * @param {(count: number, error: any) => void} lost told of messages that waited and cannot be sent; must not throw
   */
  constructor (handle, lost) {
    this.#handle = handle
    this.#lost = lost
  }

  get empty () { return this.#first === this.#messages.length }

  /**
   * Sends the message, or keeps it until there is room. Throws if it cannot be sent at all.
   * @param {number} tag
   * @param {Uint8Array} body not changed by anyone later on
   * @returns {boolean} `false`: it takes no more
   */
  send (tag, body) {
    const waited = !this.empty
    if (!waited && this.#sent(tag, body)) return true
    if (this.#bytes + body.length + OVERHEAD > MOST) return false
    this.#messages.push({ tag, body })
    this.#bytes += body.length + OVERHEAD
    if (!waited) this.serve()
    return true
  }

  /** Sends what there is room for. To be called when the handle is woken. Never throws: nobody is there who could catch it. */
  serve () {
    clearTimeout(this.#timer)
    this.#flush()
    if (!this.empty) {
      this.#armed = this.#handle.arm(true) >= 0
      // What got free before the bell was listened for does not ring it.
      this.#flush()
      if (!this.empty && !this.#armed) this.#timer = setTimeout(() => this.serve(), AGAIN)
    }
    if (!this.empty) return
    if (this.#armed) {
      this.#armed = false
      this.#handle.disarm(true)
    }
    if (leaving.delete(this)) this.#handle.close()
  }

  /**
   * The channel is closed, and its handle will be; what waits goes out by another one, and keeps the process alive so long.
   * @param {(onWake: () => void) => import('../binding').TopicHandle} open
   */
  leave (open) {
    clearTimeout(this.#timer)
    if (this.empty) return
    try {
      this.#handle = open(() => this.serve())
    } catch (error) {
      this.#lost(this.#messages.length - this.#first, error)
      this.#messages = []
      this.#first = this.#bytes = 0
      return
    }
    this.#handle.hold(true)
    leaving.add(this)
    this.serve()
  }

  #flush () {
    let lost = 0
    /** @type {any} */
    let reason
    while (!this.empty) {
      const { tag, body } = this.#messages[this.#first]
      try {
        if (!this.#sent(tag, body)) break
      } catch (error) {
        // One that cannot be sent at all must not hold up the others.
        lost++
        reason ??= error
      }
      this.#first++
      this.#bytes -= body.length + OVERHEAD
    }
    if (this.empty || this.#first >= 1024) {
      this.#messages.splice(0, this.#first)
      this.#first = 0
    }
    if (lost > 0) this.#lost(lost, reason)
  }

  /** @type {(tag: number, body: Uint8Array) => boolean} */
  #sent (tag, body) {
    const result = this.#handle.sendOne(tag, body)
    if (result < 0) throw callError(result, 'postMessage')
    return result === 1
  }
}

module.exports = { Backlog }
