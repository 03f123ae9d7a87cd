'use strict'

const { AsyncResource } = require('node:async_hooks')
const { exceptionWithHostPort } = require('../errors')

/** What becomes of one datagram, for the callback of its `send()`. */
class Report {
  #callback
  #host
  #port
  #status = NaN
  #due = false

  /**
   * @param {(error: Error | null, bytes?: number) => void} callback
   * @param {string | null} host
   * @param {number} port
   */
  constructor (callback, host, port) {
    this.#callback = callback
    this.#host = host
    this.#port = port
    // Behind the tick that sends: the callback runs in the context of its send().
    process.nextTick(() => this.#settle())
  }

  /** @param {number} status bytes sent, or an errno */
  ended (status) {
    this.#status = status
    if (this.#due) this.#call()
  }

  #settle () {
    this.#due = true
    if (!Number.isNaN(this.#status)) return this.#call()
    this.#callback = AsyncResource.bind(this.#callback) // It had to wait for room.
  }

  #call () {
    const status = this.#status
    if (status >= 0) this.#callback(null, status)
    else this.#callback(exceptionWithHostPort(status, 'send', this.#host, this.#port))
  }
}

/** Counts the datagrams of one `sendMany()`. */
class ManyReport {
  #callback
  #left
  #sent = 0
  /** @type {Error | null} */
  #error = null
  #host
  #port

  /**
   * @param {(error: Error | null, sent: number) => void} callback
   * @param {number} count
   * @param {string | null} host
   * @param {number} port
   */
  constructor (callback, count, host, port) {
    this.#callback = AsyncResource.bind(callback)
    this.#left = count
    this.#host = host
    this.#port = port
  }

  /** @param {number} status */
  ended (status) {
    if (status >= 0) this.#sent += 1
    else this.#error ??= exceptionWithHostPort(status, 'send', this.#host, this.#port)
    if (--this.#left === 0) process.nextTick(this.#callback, this.#error, this.#sent)
  }
}

module.exports = { ManyReport, Report }
