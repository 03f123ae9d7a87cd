'use strict'

const { ERR_QUEUE_CLOSED } = require('../errors')
const { validateFunction, validateInteger, validateObject } = require('../validate')
const { Endpoint } = require('../queue/endpoint')
const { Receiver } = require('../queue/receiver')
const { BURST } = require('../queue/waiting')
const { Inbox } = require('./inbox')

/** @typedef {import('../binding').TopicHandle} TopicHandle */

/**
 * One subscriber of a topic. A pending receive and a 'message' listener keep the process alive, unless `unref` was called.
 */
class Subscription extends Endpoint {
  #handle
  #inbox
  #receiver
  #missed = 0

  /**
   * @param {(onWake: () => void) => TopicHandle} subscribe
   * @param {import('../queue/codec').Codec} codec
   * @param {boolean} lossy
   */
  constructor (subscribe, codec, lossy) {
    super()
    this.#handle = subscribe(Endpoint.waker(this))
    this.#inbox = new Inbox(this.#handle, codec)
    // They have all but what a queue's `drain` asks them for.
    const [handle, inbox] = /** @type {any[]} */ ([this.#handle, this.#inbox])
    this.#receiver = new Receiver(handle, codec, () => this.update(), inbox)
    this.begin(this.#handle, undefined, this.#receiver)
    /** Whether publishers go past it when it is slow. */
    this.lossy = lossy
  }

  /** Messages that a lossy subscription did not get: of those before what it received last. */
  get missed () {
    return this.closed ? this.#missed : this.#handle.missed
  }

  /**
   * The next message; waits for it.
   * @param {{ signal?: AbortSignal }} [options]
   */
  receive (options) { return this.#receiver.receive(options) }

  /** The next message, or `undefined` if there is none now. */
  tryReceive () { return this.#receiver.tryReceive() }

  /**
   * All messages that are there, up to `most`; waits for the first.
   * @param {number} [most]
   * @param {{ signal?: AbortSignal }} [options]
   */
  receiveMany (most, options) { return this.#receiver.receiveMany(most, options) }

  /**
   * The next message; blocks the thread until there is one. `undefined`: not before the timeout.
   * @param {{ timeout?: number, spin?: number }} [options]
   */
  receiveSync (options) { return this.#receiver.receiveSync(options) }

  /**
   * Calls `each` for every message that is there. Nothing is allocated per message; the view is valid during the call only.
   * @param {(view: InstanceType<typeof import('../queue/view').View>) => void} each
   * @param {{ max?: number }} [options]
   */
  drain (each, options = {}) {
    validateFunction(each, 'each')
    validateObject(options, 'options')
    const { max = Infinity } = options
    if (max !== Infinity) validateInteger(max, 'options.max', 0)
    let total = 0
    if (this.closed) throw new ERR_QUEUE_CLOSED()
    while (total < max && !this.closed) {
      const count = this.#inbox.drain(each, Math.min(BURST, max - total))
      if (count === 0) break
      total += count
    }
    return total
  }

  [Symbol.asyncIterator] () { return this.#receiver.iterate() }

  /** @override Leaves the topic. What waits is rejected with ERR_QUEUE_CLOSED, loops end. */
  close () {
    if (!this.closed) this.#missed = this.#handle.missed
    super.close()
  }
}

module.exports = { Subscription }
