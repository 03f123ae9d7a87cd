'use strict'

/** What a socket sends and receives: batches to and from the addon, and the promises of who waits for them. */

const { zmqError, errnoOf } = require('./errors')
const { open } = require('./engine')
const Outbox = require('./outbox')
const Inbox = require('./inbox')
const Hold = require('./hold')

/**
 * @typedef {{ resolve: (value?: any) => void, reject: (error: Error) => void, timer?: NodeJS.Timeout }} Pending
 * @typedef {(type: string, address: string, number: number, code: string) => void} OnEvent
 */

/** Operations that may be done at once; then one waits for the loop's next round, so that others have theirs. */
const SYNC_OPERATIONS = 512
/** A message of a batch costs less than one that is awaited. */
const OPERATIONS_PER_MESSAGE = 1 / 8
const BATCH = 1024
const DONE = Promise.resolve()
const EAGAIN = -errnoOf('EAGAIN')
const REQ = 3
const REP = 4
const SENDING = 'Socket is busy writing; only one send operation may be in progress at any time'
const RECEIVING = 'Socket is busy reading; only one receive operation may be in progress at any time'

class Channel {
  native
  sendTimeout = -1
  receiveTimeout = -1
  /** REQ may ask again without an answer. */
  relaxed = false
  /** Only the newest message counts. */
  conflate = false
  /** Every message crosses on its own, as it may be refused: REQ, REP, ROUTER with `mandatory`. */
  single
  closed = false
  #type
  #inbox = new Inbox()
  #outbox = new Outbox()
  /** Messages that may still be added to the outbox. */
  #room = 0
  #flushing = false
  #operations = 0
  /** Messages taken and not yet told of. */
  #taken = 0
  #batch = 500
  /** REQ: asked, and not answered yet. REP: was asked, and has not answered yet. */
  #owing = false
  /** @type {Pending | null} */
  #reading = null
  /** @type {Pending & { message: unknown, sent?: boolean } | null} `sent`: only the loop's next round is waited for */
  #writing = null
  #hold
  /** Somebody waits for events. */
  #observed = false

  /**
   * @param {number} type
   * @param {import('../binding').ZmqContext} context
   * @param {OnEvent} onEvent
   */
  constructor (type, context, onEvent) {
    this.#type = type
    this.single = type === REQ || type === REP
    this.native = open(new WeakRef(this), type, context, onEvent)
    this.#hold = new Hold(this, on => this.native.hold(on))
    this.#room = this.native.room()
  }

  get readable () { return this.#inbox.count > 0 }
  get writable () {
    if (this.#room <= 0) this.flush()
    return this.#mayWrite && (this.#room > 0 || this.native.room() > 0)
  }

  /** @param {number} count receiveHighWaterMark: the engine hears of every half of it */
  set highWaterMark (count) {
    this.#batch = count > 0 ? Math.min(Math.ceil(count / 2), 500) : 500
  }

  /**
   * @param {unknown} message
   * @returns {Promise<void>}
   */
  send (message) {
    if (this.#writing !== null) throw zmqError('EBUSY', { message: SENDING })
    if (this.single) return this.#sendSingle(message)
    if (this.#room <= 0) return this.#waitToSend(message)
    this.#add(message)
    return ++this.#operations <= SYNC_OPERATIONS ? DONE : this.#nextRound()
  }

  /** @param {ArrayLike<unknown>} messages */
  async sendMany (messages) {
    const { length } = messages
    for (let index = 0; index < length;) {
      if (this.closed) throw zmqError('EBADF')
      if (this.#room <= 0) this.flush()
      if (this.single || this.#room <= 0 || this.#writing !== null) {
        await this.send(messages[index++])
        continue
      }
      const end = Math.min(length, index + this.#room, index + BATCH)
      this.#operations += OPERATIONS_PER_MESSAGE * (end - index)
      while (index < end) this.#add(messages[index++])
      if (this.#operations > SYNC_OPERATIONS) await this.#nextRound()
    }
  }

  /** @returns {Promise<Buffer[]>} */
  receive () {
    if (this.#reading !== null) throw zmqError('EBUSY', { message: RECEIVING })
    if (this.#inbox.count > 0 && ++this.#operations <= SYNC_OPERATIONS) return Promise.resolve(this.#take())
    return this.#waitToReceive()
  }

  /** @param {number} max */
  async receiveMany (max) {
    const messages = [await this.receive()]
    for (let left = Math.min(max - 1, this.#inbox.count); left > 0; left--) messages.push(this.#take())
    return messages
  }

  /** @returns {Promise<IteratorResult<Buffer[], undefined>>} */
  next () {
    if (this.closed) return Promise.resolve({ done: true, value: undefined })
    if (this.#inbox.count > 0 && this.#reading === null && ++this.#operations <= SYNC_OPERATIONS) {
      return Promise.resolve({ done: false, value: this.#take() })
    }
    return this.#nextLater()
  }

  /** Hands over what is to be sent. */
  flush () {
    const outbox = this.#outbox
    if (outbox.messages === 0) return
    const room = this.native.sendRun(outbox.bytes, outbox.length)
    outbox.clear()
    this.#room = Math.max(room, 0)
  }

  /** @param {boolean} on somebody waits for events */
  observed (on) {
    this.#observed = on && !this.closed
    this.#updateHold()
  }

  /** Pipes have come or gone: is there more room? */
  refresh () {
    this.flush()
    this.onRoom(this.native.room())
  }

  close () {
    this.flush()
    this.closed = true
    this.#observed = false
    this.native.close()
    const [reading, writing] = [this.#reading, this.#writing]
    this.#reading = this.#writing = null
    this.#inbox.clear()
    this.#settle(reading)?.reject(zmqError(this.#mayRead ? 'EAGAIN' : 'EFSM'))
    if (writing?.message === undefined) this.#settle(writing)?.resolve() // It was sent, and only waited for the loop.
    else this.#settle(writing)?.reject(zmqError(this.#mayWrite ? 'EAGAIN' : 'EFSM'))
  }

  /**
   * @param {ArrayBuffer} slab
   * @param {number} offset
   * @param {number} length
   * @param {number} messages
   */
  onMessages (slab, offset, length, messages) {
    this.#inbox.add(slab, offset, length, messages)
    this.#arrived()
  }

  /**
   * @param {ArrayBuffer} body
   * @param {boolean} more
   */
  onLarge (body, more) {
    this.#inbox.addLarge(body, more)
    this.#arrived()
  }

  /** @param {number} room */
  onRoom (room) {
    this.#room = room - this.#outbox.messages
    const writing = this.#writing
    if (writing === null || writing.sent || this.#room <= 0 || !this.#mayWrite) return
    if (this.single) {
      this.#retrySingle(writing)
      return
    }
    this.#writing = null
    try {
      this.#add(writing.message)
    } catch (error) { // It could not be made a text.
      this.#settle(writing)?.reject(/** @type {Error} */ (error))
      return
    }
    this.#settle(writing)?.resolve()
  }

  get #mayRead () { return this.#type !== REQ || this.#owing }
  get #mayWrite () {
    if (this.#type === REP) return this.#owing
    return this.#type !== REQ || !this.#owing || this.relaxed
  }

  /** @param {unknown} message */
  #add (message) {
    const outbox = this.#outbox
    outbox.add(message)
    this.#room--
    if (!this.#flushing) {
      // The first message of a quiet socket leaves at once; what follows before JavaScript pauses leaves together.
      this.#flushing = true
      process.nextTick(flushLater, this)
      this.flush()
    } else if (outbox.isFull) this.flush()
  }

  /** JavaScript pauses. */
  onPause () {
    this.#flushing = false
    if (!this.closed) this.flush()
  }

  #take () {
    if (this.conflate) while (this.#inbox.count > 1) this.#drop()
    const message = this.#inbox.take()
    this.#owing = this.#type === REP
    if (this.#writing !== null && this.single) process.nextTick(refreshLater, this)
    if (++this.#taken >= this.#batch || this.#inbox.count === 0) this.#tell()
    return message
  }

  #drop () {
    this.#inbox.take()
    this.#taken++
  }

  /** Room for more, in the engine. */
  #tell () {
    this.native.consumed(this.#taken)
    this.#taken = 0
  }

  #arrived () {
    const reading = this.#reading
    if (reading === null || this.#inbox.count === 0) return
    this.#reading = null
    this.#operations = 0
    this.#settle(reading)?.resolve(this.#take())
  }

  /** @param {unknown} message */
  #sendSingle (message) {
    const result = this.#mayWrite ? this.#trySingle(message) : EAGAIN
    if (result >= 0) return ++this.#operations <= SYNC_OPERATIONS ? DONE : this.#nextRound()
    const code = zmqError(result).code
    if (code !== 'EAGAIN' && code !== 'EFSM') return Promise.reject(zmqError(result))
    if (this.sendTimeout === 0) return Promise.reject(zmqError(this.#mayWrite ? result : 'EFSM'))
    return this.#pendWrite(message)
  }

  /** @param {Pending & { message: unknown }} writing */
  #retrySingle (writing) {
    let result
    try {
      result = this.#trySingle(writing.message)
    } catch (error) {
      this.#writing = null
      this.#settle(writing)?.reject(/** @type {Error} */ (error))
      return
    }
    if (result === EAGAIN) return
    this.#writing = null
    if (result >= 0) this.#settle(writing)?.resolve()
    else this.#settle(writing)?.reject(zmqError(result))
  }

  /**
   * @param {unknown} message
   * @returns {number} room for more, or a negative errno
   */
  #trySingle (message) {
    this.flush()
    const outbox = this.#outbox
    outbox.add(message)
    const result = this.native.send(outbox.bytes, outbox.length)
    outbox.clear()
    if (result < 0) return result
    this.#owing = this.#type === REQ
    this.#room = result
    return result
  }

  /** @param {unknown} message */
  #waitToSend (message) {
    this.flush()
    if (this.#room > 0) {
      this.#add(message)
      return ++this.#operations <= SYNC_OPERATIONS ? DONE : this.#nextRound()
    }
    return this.sendTimeout === 0 ? Promise.reject(zmqError('EAGAIN')) : this.#pendWrite(message)
  }

  /**
   * @param {unknown} message
   * @returns {Promise<void>}
   */
  #pendWrite (message) {
    return new Promise((resolve, reject) => {
      const writing = this.#writing = { message, resolve, reject, timer: undefined }
      this.#hold.update(true)
      this.#expire(writing, this.sendTimeout, () => {
        this.#writing = null
        // What is wrong is seen by trying once more, as zeromq.js does.
        const result = this.single && this.#mayWrite ? this.#trySingle(message) : EAGAIN
        if (result >= 0) this.#settle(writing)?.resolve()
        else this.#settle(writing)?.reject(zmqError(this.#mayWrite ? result : 'EFSM'))
      })
    })
  }

  /** @returns {Promise<Buffer[]>} */
  #waitToReceive () {
    if (this.#inbox.count === 0 && this.receiveTimeout === 0) {
      return Promise.reject(zmqError(this.#mayRead ? 'EAGAIN' : 'EFSM'))
    }
    return new Promise((resolve, reject) => {
      const reading = this.#reading = { resolve, reject, timer: undefined }
      this.#hold.update(true)
      if (this.#inbox.count > 0) {
        setImmediate(() => { if (this.#reading === reading) this.#arrived() })
        return
      }
      this.#expire(reading, this.receiveTimeout, () => {
        this.#reading = null
        this.#settle(reading)?.reject(zmqError(this.#mayRead ? 'EAGAIN' : 'EFSM'))
      })
    })
  }

  /** @returns {Promise<IteratorResult<Buffer[], undefined>>} */
  async #nextLater () {
    try {
      return { done: false, value: await this.receive() }
    } catch (error) {
      if (this.closed && /** @type {any} */ (error).code === 'EAGAIN') return { done: true, value: undefined }
      throw error
    }
  }

  /** @returns {Promise<void>} resolves in the loop's next round */
  #nextRound () {
    return new Promise((resolve, reject) => {
      const writing = this.#writing = { message: undefined, sent: true, resolve, reject, timer: undefined }
      this.#hold.update(true)
      setImmediate(() => {
        if (this.#writing !== writing) return
        this.#writing = null
        this.#operations = 0
        this.#settle(writing)?.resolve()
      })
    })
  }

  /**
   * @param {Pending} pending
   * @param {number} time
   * @param {() => void} expired
   */
  #expire (pending, time, expired) {
    if (time > 0) pending.timer = setTimeout(expired, time)
  }

  /**
   * @param {Pending | null} pending
   * @returns {Pending | null}
   */
  #settle (pending) {
    if (pending !== null) clearTimeout(pending.timer)
    this.#updateHold()
    return pending
  }

  #updateHold () {
    this.#hold.update(this.#observed || this.#reading !== null || this.#writing !== null)
  }
}

module.exports = Channel

/** @param {Channel} channel */
function flushLater (channel) {
  channel.onPause()
}

/** @param {Channel} channel */
function refreshLater (channel) {
  if (!channel.closed) channel.refresh()
}
