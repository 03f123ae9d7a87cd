'use strict'

const { ERR_QUEUE_CLOSED } = require('../errors')
const { validateBoolean, validateObject } = require('../validate')
const { Endpoint } = require('../queue/endpoint')
const { openError } = require('../queue/errors')
const { Sender } = require('../queue/sender')
const { open } = require('./open')
const { Subscription } = require('./subscription')

/** @typedef {import('../../types/topic').TopicOptions} TopicOptions */

/**
 * A topic in shared memory: every subscription, in any process or thread of this user, gets each message that is published
 * from its beginning on. A pending publish keeps the process alive, unless `unref` was called; an open topic does not.
 */
class Topic extends Endpoint {
  #handle
  #codec
  #sender

  /**
   * @param {string | TopicOptions} [name] a name or a ticket; without one only its ticket finds it
   * @param {TopicOptions} [options]
   */
  constructor (name, options) {
    super()
    const { handle, codec } = open(name, options, Endpoint.waker(this))
    this.#handle = handle
    this.#codec = codec
    this.#sender = new Sender(handle, codec, () => this.update())
    this.begin(handle, this.#sender)
    this.name = handle.name ?? null
    this.ticket = handle.ticket ?? null
  }

  /**
   * Publishes; waits while a reliable subscriber has no room. Without subscribers the message is gone.
   * @param {any} value
   * @param {{ signal?: AbortSignal }} [options]
   */
  publish (value, options) { return this.#sender.send(value, options) }

  /**
   * Publishes if there is room.
   * @param {any} value
   */
  tryPublish (value) { return this.#sender.trySend(value) }

  /**
   * Publishes all, in order, in batches; waits while there is no room.
   * @param {Iterable<any>} values
   * @param {{ signal?: AbortSignal }} [options]
   */
  publishMany (values, options) { return this.#sender.sendMany(values, options) }

  /**
   * Publishes, and blocks the thread while there is no room. `false`: there was none until the timeout.
   * @param {any} value
   * @param {{ timeout?: number, spin?: number }} [options]
   */
  publishSync (value, options) { return this.#sender.sendSync(value, options) }

  /**
   * A subscription: it gets all that is published from now on, by this object, too.
   * @param {{ lossy?: boolean }} [options]
   */
  subscribe (options = {}) {
    validateObject(options, 'options')
    const { lossy = false } = options
    validateBoolean(lossy, 'options.lossy')
    if (this.closed) throw new ERR_QUEUE_CLOSED()
    return new Subscription(onWake => {
      try {
        return this.#handle.subscribe(lossy, onWake)
      } catch (error) {
        throw openError(error, this.name ?? undefined)
      }
    }, this.#codec, lossy)
  }

  /** What it holds and did, and how many subscribe. */
  stats () {
    const stats = this.#handle.stats()
    if (stats === null) throw new ERR_QUEUE_CLOSED()
    return stats
  }

  /** Its ticket: what a message or a file holds in its place. */
  toJSON () {
    return this.ticket
  }
}

module.exports = { Topic }
