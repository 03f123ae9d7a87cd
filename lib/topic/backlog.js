'use strict'

const { callError } = require('../queue/errors')

/** Bytes of messages that may wait for room in one channel. More is a receiver that is stuck. */
const MOST = 64 * 1024 * 1024
/** What a waiting message takes at least. */
const OVERHEAD = 128

/** Those whose channel is closed. */
const leaving = new Set()

/** What a channel sends: messages wait here for room, in their order. */
class Backlog {
  #handle
  /** @type {{ tag: number, body: Uint8Array }[]} */
  #messages = []
  #first = 0
  #bytes = 0
  #armed = false

  /** @param {import('../binding').TopicHandle} handle */
  constructor (handle) {
    this.#handle = handle
  }

  get empty () { return this.#first === this.#messages.length }

  /**
   * Sends the message, or keeps it until there is room.
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

  /** Sends what there is room for. To be called when the handle is woken. */
  serve () {
    this.#flush()
    if (!this.empty) {
      const result = this.#handle.arm(true)
      if (result < 0) throw callError(result, 'postMessage')
      this.#armed = true
      // What got free before the bell was listened for does not ring it.
      this.#flush()
    }
    if (this.empty && this.#armed) {
      this.#armed = false
      this.#handle.disarm(true)
    }
  }

  /**
   * The channel is closed, and its handle will be; what waits goes out by another one, and keeps the process alive so long.
   * @param {(onWake: () => void) => import('../binding').TopicHandle} open
   */
  leave (open) {
    if (this.empty) return
    this.#handle = open(() => this.#lastWords())
    this.#handle.hold(true)
    leaving.add(this)
    this.#lastWords()
  }

  #lastWords () {
    this.serve()
    if (!this.empty) return
    this.#handle.close()
    leaving.delete(this)
  }

  #flush () {
    while (!this.empty) {
      const { tag, body } = this.#messages[this.#first]
      let sent = true
      try {
        sent = this.#sent(tag, body)
      } finally {
        // One that cannot be sent at all must not hold up the others.
        if (sent) {
          this.#first++
          this.#bytes -= body.length + OVERHEAD
        }
      }
      if (!sent) break
    }
    if (!this.empty && this.#first < 1024) return
    this.#messages.splice(0, this.#first)
    this.#first = 0
  }

  /** @type {(tag: number, body: Uint8Array) => boolean} */
  #sent (tag, body) {
    const result = this.#handle.sendOne(tag, body)
    if (result < 0) throw callError(result, 'postMessage')
    return result === 1
  }
}

module.exports = { Backlog }
