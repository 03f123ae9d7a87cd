'use strict'

const fs = require('node:fs/promises')
const { ERR_INVALID_ARG_TYPE, ERR_QUEUE_CLOSED } = require('../errors')
const { Endpoint } = require('./endpoint')
const { Inbox } = require('./inbox')
const { Message } = require('./message')
const { open } = require('./open')
const { Receiver } = require('./receiver')
const { Sender } = require('./sender')

/** @typedef {import('../../types/queue').QueueOptions} QueueOptions */

/**
 * A work queue in shared memory: many senders, many receivers, in any processes and threads of this user; each message goes
 * to one receiver. A pending receive, a pending send and a 'message' listener keep the process alive, unless `unref` was called.
 */
class Queue extends Endpoint {
  #handle
  #sender
  #receiver

  /**
   * @param {string | QueueOptions} [name] a name or a ticket; without one only its ticket finds it
   * @param {QueueOptions} [options]
   */
  constructor (name, options) {
    super()
    const { handle, codec, path } = open('openQueue', name, options, Endpoint.waker(this))
    this.#handle = handle
    this.#sender = new Sender(handle, codec, () => this.update())
    this.#receiver = new Receiver(handle, codec, () => this.update(), new Inbox(handle, codec))
    this.begin(handle, this.#sender, this.#receiver)
    this.name = handle.name ?? null
    this.ticket = handle.ticket ?? null
    this.path = path
    this.restored = restored(handle.restored)
  }

  /**
   * Sends; waits while the queue is full. The message is in the queue when the promise is fulfilled, whatever becomes of this process.
   * @param {any} value
   * @param {{ signal?: AbortSignal }} [options]
   */
  send (value, options) { return this.#sender.send(value, options) }

  /**
   * Sends if there is room.
   * @param {any} value
   */
  trySend (value) { return this.#sender.trySend(value) }

  /**
   * Sends all, in order, in batches; waits while the queue is full.
   * @param {Iterable<any>} values
   * @param {{ signal?: AbortSignal }} [options]
   */
  sendMany (values, options) { return this.#sender.sendMany(values, options) }

  /**
   * Sends, and blocks the thread while the queue is full. `false`: it was full until the timeout.
   * @param {any} value
   * @param {{ timeout?: number, spin?: number }} [options]
   */
  sendSync (value, options) { return this.#sender.sendSync(value, options) }

  /**
   * A Buffer in shared memory for a large message: fill it and send it, and it is not copied at all. What is in it at first may be
   * anything. Once it is sent its length is 0; if it never is, it goes when it is collected.
   * @param {number} size bytes
   */
  alloc (size) { return this.#sender.alloc(size) }

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
   * Waits until there is a message, and takes none: `drain` then finds it, if no other receiver was faster.
   * @param {{ signal?: AbortSignal }} [options]
   */
  readable (options) { return this.#receiver.readable(options) }

  /**
   * Calls `each` for every message that is there, in place: nothing is copied. The view is valid during the call only.
   * @param {(view: InstanceType<typeof import('./view').View>) => void} each
   * @param {{ max?: number }} [options]
   */
  drain (each, options) { return this.#receiver.drain(each, options) }

  /**
   * Acknowledges a message of a queue with `ack: true`, as `message.ack()` does.
   * @param {InstanceType<typeof Message>} message
   */
  ack (message) {
    if (!(message instanceof Message)) throw new ERR_INVALID_ARG_TYPE('message', 'Message', message)
    return message.ack()
  }

  [Symbol.asyncIterator] () { return this.#receiver.iterate() }

  /**
   * Waits until all that is in the queue now would survive a power cut. For queues in files; others have nothing to wait for.
   */
  async flush () {
    if (this.closed) throw new ERR_QUEUE_CLOSED()
    if (this.path === null) return
    const file = await fs.open(this.path, 'r+')
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** What it holds and did: bytes of capacity, bytes in use, messages sent and received by the handles that are open. */
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

/** @param {number[] | null | undefined} numbers */
function restored (numbers) {
  if (!numbers) return null
  const [messages, dropped, droppedBytes] = numbers
  return { messages, dropped, droppedBytes }
}

module.exports = { Queue }
