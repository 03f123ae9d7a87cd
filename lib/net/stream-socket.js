'use strict'

/** The stream in `net.Socket`: a Duplex on a handle. Reading, writing, ending, closing; no addresses and no connecting. */

const { Duplex } = /** @type {{ Duplex: new (options: any) => any }} */ (require('node:stream')) // The types hide its state.
const { ERR_SOCKET_CLOSED, ERR_SOCKET_CLOSED_BEFORE_CONNECTION, errnoException, errnoOf } = require('../errors')
const { kData, kDrain, kEnd, kError, kSend } = require('./symbols')
const sameTick = require('./same-tick')
const { UserBuffer } = require('./user-buffer')

const ENOTCONN = errnoOf('ENOTCONN')

class StreamSocket extends Duplex {
  /** @type {any} */
  _handle = null
  connecting = false
  /** @type {any} what waits for the connection */
  _pendingData = null
  _pendingEncoding = ''
  /** @type {NodeJS.Timeout | null} */
  _timer = null
  /** @type {any} the server that counts this connection */
  _server = null
  resetAndClosing = false
  /** Bytes that waited to be written when the timeout was looked at last. */
  _lastQueueSize = 0
  #bytesRead = 0
  #bytesWritten = 0
  /** @type {InstanceType<typeof UserBuffer> | null} */
  #userBuffer
  /** Writes may go past the Writable's queue: connected, not ended, not corked. */
  #direct = false
  #directLimit = 0
  /** The tick of the last write. */
  #lastTick = -1
  /** @type {((error?: Error | null) => void)[] | null} write callbacks that wait for the rest of a tick's writes */
  #waiting = null
  #peerEnded = false
  /** What the kernel said to a write that was not told yet. */
  #failure = 0

  /** @param {any} options those of Duplex, and `onread` */
  constructor (options) {
    super(options)
    this.#userBuffer = UserBuffer.of(options.onread)
    this.on('end', () => { this.#peerEnded = true })
  }

  get pending () { return !this._handle || this.connecting }
  get bytesRead () { return this._handle ? this._handle.bytesRead : this.#bytesRead }
  get _bytesDispatched () { return this._handle ? this._handle.bytesWritten : this.#bytesWritten }
  get bufferSize () { return this._handle ? this.writableLength : undefined }

  /** Also counts what is still in this process. */
  get bytesWritten () {
    if (!this.writableBuffer) return undefined
    const data = this._pendingData
    const chunks = Array.isArray(data) ? data : data === null ? [] : [{ chunk: data, encoding: this._pendingEncoding }]
    let bytes = this._bytesDispatched
    for (const { chunk, encoding } of [...this.writableBuffer, ...chunks]) bytes += sizeOf(chunk, encoding)
    return bytes
  }

  get writableLength () {
    return this._writableState.length + (sameTick.owner === this ? sameTick.used : 0)
  }

  /**
   * From now on this handle is read and written.
   * @param {any} handle
   */
  _attach (handle) {
    this._handle = handle
    handle.owner = this
    this.#failure = 0
  }

  /** The handle is connected: writes may leave. */
  _goDirect () {
    this.#direct = !this.connecting && this._handle !== null && !this.writableEnded && this.writableCorked === 0 &&
      this._write === StreamSocket.prototype._write && this._writev === StreamSocket.prototype._writev
    this.#directLimit = Math.min(this.writableHighWaterMark, sameTick.SIZE)
  }

  // Writing.

  /**
   * @param {any} chunk
   * @param {any} [encoding]
   * @param {any} [callback]
   * @returns {boolean}
   */
  write (chunk, encoding, callback) {
    if (!this.#direct || this._handle === null || this._writableState.length !== 0) return this.#writeQueued(chunk, encoding, callback)
    const then = typeof encoding === 'function' ? encoding : callback
    const size = this.#directSize(chunk, encoding)
    if (size === 0 || size >= this.#directLimit || (then != null && typeof then !== 'function')) {
      return this.#writeQueued(chunk, encoding, callback)
    }
    if (this._timer !== null) this._unrefTimer()
    if (this.#lastTick !== sameTick.tick) return this.#writeFirst(chunk, then)
    this.#gather(chunk, size)
    if (then) process.nextTick(settle, this, then)
    return true
  }

  /**
   * @param {any} [chunk]
   * @param {any} [encoding]
   * @param {any} [callback]
   */
  end (chunk, encoding, callback) {
    if (sameTick.owner === this) sameTick.flush()
    this.#direct = false
    super.end(chunk, encoding, callback)
    return this
  }

  cork () {
    if (sameTick.owner === this) sameTick.flush()
    this.#direct = false
    super.cork()
  }

  uncork () {
    super.uncork()
    this._goDirect()
  }

  /**
   * @param {any} chunk
   * @param {BufferEncoding} encoding
   * @param {(error?: Error | null) => void} callback
   */
  _write (chunk, encoding, callback) {
    if (this.connecting) return this.#writeOnceConnected(chunk, encoding, callback, () => this._write(chunk, encoding, callback))
    this.#dispatch([bytesOf(chunk, encoding)], callback)
  }

  /**
   * @param {{ chunk: any, encoding: BufferEncoding }[]} chunks
   * @param {(error?: Error | null) => void} callback
   */
  _writev (chunks, callback) {
    if (this.connecting) return this.#writeOnceConnected(chunks, '', callback, () => this._writev(chunks, callback))
    this.#dispatch(chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding)), callback)
  }

  /** @param {(error?: Error | null) => void} callback */
  _final (callback) {
    if (this.connecting) return void this.once('connect', () => this._final(callback))
    if (!this._handle) return callback()
    // After what this round of the loop still brings, as in libuv; and together, so that no answer to our end comes before 'finish'.
    setImmediate(() => {
      const status = this._handle ? this._handle.shutdown() : 0
      callback(status < 0 && status !== ENOTCONN ? errnoException(status, 'shutdown') : null)
    })
  }

  /**
   * Sends what was gathered in a tick.
   * @param {Buffer} memory
   * @param {number} length
   */
  [kSend] (memory, length) {
    const taken = this._handle.write(memory, length)
    if (taken === length) return
    if (taken < 0) this.#failure = taken
    const rest = Buffer.from(memory.subarray(Math.max(taken, 0), length))
    this._handle.bytesWritten -= rest.length
    const waiting = this.#waiting = this.#waiting ?? []
    super.write(rest, (/** @type {Error | null | undefined} */ error) => {
      if (this.#waiting === waiting) this.#waiting = null
      for (const callback of waiting) callback(error)
    })
  }

  [kDrain] () {}

  /**
   * @param {(error?: Error | null) => void} callback
   * @returns {boolean} false: nothing is left to wait for
   */
  _wait (callback) {
    this.#waiting?.push(callback)
    return this.#waiting !== null
  }

  /**
   * The first write of a tick: its latency counts.
   * @param {any} chunk
   * @param {any} then
   */
  #writeFirst (chunk, then) {
    if (!sameTick.inEvent) sameTick.schedule()
    this.#lastTick = sameTick.tick
    let bytes = chunk
    let length = chunk.byteLength
    if (typeof chunk === 'string') {
      if (sameTick.owner !== null) sameTick.flush()
      bytes = sameTick.memory
      length = sameTick.memory.write(chunk)
    }
    const handle = this._handle
    const taken = handle.write(bytes, length)
    if (taken === length) {
      handle.bytesWritten += length
      if (then) process.nextTick(settle, this, then)
      return true
    }
    if (taken < 0) this.#failure = taken
    else handle.bytesWritten += taken
    const rest = bytes.subarray(Math.max(taken, 0), length)
    return super.write(typeof chunk === 'string' ? Buffer.from(rest) : rest, then)
  }

  /**
   * A later write of the same tick.
   * @param {any} chunk
   * @param {number} size at most
   */
  #gather (chunk, size) {
    if (sameTick.owner !== this || sameTick.used + size > this.#directLimit) {
      sameTick.flush()
      if (this._writableState.length !== 0) return void super.write(chunk)
      sameTick.owner = this
      sameTick.schedule()
    }
    let length = size
    if (typeof chunk === 'string') length = sameTick.memory.write(chunk, sameTick.used)
    else sameTick.memory.set(chunk, sameTick.used)
    sameTick.used += length
    this._handle.bytesWritten += length
  }

  /**
   * @param {any} chunk
   * @param {any} encoding
   * @returns {number} bytes at most; 0: not for the direct way
   */
  #directSize (chunk, encoding) {
    if (chunk instanceof Uint8Array) return chunk.byteLength
    if (typeof chunk !== 'string') return 0
    const name = typeof encoding === 'string' ? encoding : this._writableState.defaultEncoding
    return name === 'utf8' || name === 'utf-8' ? chunk.length * 3 : 0
  }

  /**
   * @param {any} chunk
   * @param {any} encoding
   * @param {any} callback
   */
  #writeQueued (chunk, encoding, callback) {
    if (sameTick.owner === this) sameTick.flush()
    if (this.#peerEnded && this.writableEnded && !this.allowHalfOpen) {
      return this.#refuseAfterEnd(typeof encoding === 'function' ? encoding : callback)
    }
    return super.write(chunk, encoding, callback)
  }

  /** @param {any} callback */
  #refuseAfterEnd (callback) {
    const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' })
    if (typeof callback === 'function') process.nextTick(callback, error)
    this.destroy(error)
    return false
  }

  /**
   * @param {any} data
   * @param {string} encoding
   * @param {(error: Error) => void} failed
   * @param {() => void} again
   */
  #writeOnceConnected (data, encoding, failed, again) {
    this._pendingData = data
    this._pendingEncoding = encoding
    const onClose = () => failed(new ERR_SOCKET_CLOSED_BEFORE_CONNECTION())
    this.once('connect', () => {
      this.off('close', onClose)
      this._pendingData = null
      this._pendingEncoding = ''
      again()
    })
    this.once('close', onClose)
  }

  /**
   * @param {Uint8Array[]} chunks
   * @param {(error?: Error | null) => void} callback
   */
  #dispatch (chunks, callback) {
    const handle = this._handle
    if (!handle) return callback(new ERR_SOCKET_CLOSED())
    if (this.#failure !== 0) return callback(errnoException(this.#failure, 'write'))
    this._unrefTimer()
    if (sameTick.owner === this) {
      // Somebody called Duplex's own write(): what was gathered before comes first.
      chunks = [Buffer.from(sameTick.memory.subarray(0, sameTick.used)), ...chunks]
      handle.bytesWritten -= sameTick.used
      sameTick.owner = null
      sameTick.used = 0
    }
    let atOnce = true
    handle.send(chunks, (/** @type {number} */ status) => {
      this._lastQueueSize = 0
      if (status < 0) return callback(errnoException(status, 'write'))
      if (!atOnce) this._unrefTimer()
      callback(null)
    })
    atOnce = false
    this._lastQueueSize = handle.writeQueueSize
  }

  // Reading.

  _read () {
    if (this.connecting || !this._handle) this.once('connect', () => this._read())
    else if (!this._handle.reading) this._startReading()
  }

  _startReading () {
    const status = this._handle.readStart()
    if (status < 0) return void this.destroy(errnoException(status, 'read'))
    const buffer = this.#userBuffer
    if (buffer?.hasRest) process.nextTick(() => buffer.deliverRest(this) || this._stopReading())
  }

  _stopReading () {
    if (this.destroyed || !this._handle) return
    const status = this._handle.readStop()
    if (status < 0) this.destroy(errnoException(status, 'read'))
  }

  /** With `onread` nothing flows through the stream: pausing it would stop nothing. */
  pause () {
    if (this.#userBuffer !== null && !this.connecting && this._handle?.reading) this._stopReading()
    return super.pause()
  }

  resume () {
    if (this.#userBuffer !== null && !this.connecting && this._handle && !this._handle.reading) this._startReading()
    return super.resume()
  }

  /** @param {number} [size] */
  read (size) {
    if (this.#userBuffer !== null && !this.connecting && this._handle && !this._handle.reading) this._startReading()
    return super.read(size)
  }

  /**
   * @param {ArrayBuffer} slab
   * @param {number} offset
   * @param {number} length
   */
  [kData] (slab, offset, length) {
    if (this.destroyed) return
    if (this._timer !== null) this._unrefTimer()
    const bytes = Buffer.from(slab, offset, length)
    const more = this.#userBuffer === null ? this.push(bytes) : this.#userBuffer.deliver(bytes, this)
    if (!more) this._stopReading()
  }

  [kEnd] () {
    if (this.destroyed || this.readableEnded) return
    this.push(null)
    this.read(0)
  }

  /**
   * @param {number} errno
   * @param {string} syscall
   */
  [kError] (errno, syscall) {
    this.destroy(errnoException(errno, syscall))
  }

  /** Something happened on this connection: its timeout begins anew. */
  _unrefTimer () {
    for (let socket = /** @type {any} */ (this); socket; socket = socket._parent) socket._timer?.refresh()
  }

  _activeTimer () { return this._timer ?? undefined }

  /**
   * Has the kernel taken something since the timeout was looked at last?
   * @param {number} left bytes that wait
   */
  _progressed (left) {
    const last = this._lastQueueSize
    if (last > 0) this._lastQueueSize = left
    return last > 0 && left !== last
  }

  // Closing.

  /**
   * @param {Error | null} error
   * @param {(error?: Error | null) => void} callback
   */
  _destroy (error, callback) {
    this.connecting = false
    this.#direct = false
    for (let socket = /** @type {any} */ (this); socket; socket = socket._parent) clearTimeout(socket._timer)
    const handle = this._handle
    if (handle) this.#release(handle, error)
    this._handle = null
    callback(error)
    if (!handle) process.nextTick(emitClose, this, false) // After the error.
    if (this._server) {
      this._server._connections -= 1
      this._server._emitCloseIfDrained()
    }
  }

  /**
   * @param {any} handle
   * @param {Error | null} error
   */
  #release (handle, error) {
    // A write before destroy() has left in Node: it does here too.
    if (sameTick.owner === this) {
      handle.write(sameTick.memory, sameTick.used)
      sameTick.owner = null
      sameTick.used = 0
    }
    this.#bytesRead = handle.bytesRead
    this.#bytesWritten = handle.bytesWritten
    const closed = () => { emitClose(this, error != null) }
    handle.owner = null
    if (!this.resetAndClosing) return handle.close(closed)
    this.resetAndClosing = false
    const status = handle.reset(closed)
    if (status < 0) this.emit('error', errnoException(status, 'reset'))
  }
}

/**
 * Calls a write's callback, or leaves it to the rest that is still being written.
 * @param {StreamSocket} socket
 * @param {(error?: Error | null) => void} callback
 */
function settle (socket, callback) {
  if (!socket._wait(callback)) callback(null)
}

/**
 * @param {StreamSocket} socket
 * @param {boolean} hadError
 */
function emitClose (socket, hadError) {
  socket.emit('close', hadError)
}

/**
 * @param {any} chunk
 * @param {BufferEncoding} encoding
 * @returns {Uint8Array}
 */
function bytesOf (chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}

/**
 * @param {any} chunk
 * @param {any} encoding
 * @returns {number}
 */
function sizeOf (chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.byteLength
}

module.exports = { StreamSocket }
