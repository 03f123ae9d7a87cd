'use strict'

/** The parent's ends of a child's standard streams. */

const net = require('../net')
const { Pipe } = require('../net/handle')
const { errnoException } = require('../errors')

/** Streams whose descriptor a further child has got: nobody else may read them. */
const usedAsStdio = new WeakSet()

/** Our end of a pipe. It gives nothing before `'spawn'` has been emitted. */
class ChildPipe extends Pipe {
  #released = false
  #wanted = false

  /**
   * @param {number} fd
   * @param {boolean} isPipeEnd or a socket
   */
  constructor (fd, isPipeEnd) {
    super(isPipeEnd)
    const status = this.open(fd)
    if (status < 0) throw errnoException(status, 'open')
  }

  /** @override */
  readStart () {
    if (this.#released) return super.readStart()
    this.reading = true
    this.#wanted = true
    return 0
  }

  /** @override */
  readStop () {
    this.#wanted = false
    return super.readStop()
  }

  release () {
    this.#released = true
    if (this.#wanted) super.readStart()
  }
}

/**
 * @param {ChildPipe} pipe
 * @param {number} number of the child's descriptor
 * @returns {import('node:net').Socket}
 */
function stdioSocket (pipe, number) {
  /** @type {any} */
  const socket = new net.Socket({ handle: pipe, readable: number > 0, writable: number === 0 || number > 2 })
  if (number === 0) socket._destroy = destroyQuietly
  return socket
}

/**
 * That the child reads no more is no reason for the parent to crash: where nobody listens for `'error'`, a broken pipe
 * just closes the stream (the callbacks of `write` hear of it).
 * @this {any}
 * @param {any} error
 * @param {(error?: Error | null) => void} callback
 */
function destroyQuietly (error, callback) {
  const harmless = (error?.code === 'EPIPE' || error?.code === 'ECONNRESET') && this.listenerCount('error') === 0
  net.Socket.prototype._destroy.call(this, harmless ? null : error, callback)
}

/**
 * The child reads it from now on, so this process must not.
 * @param {any} stream
 */
function stopReading (stream) {
  const handle = stream._handle ?? stream.handle ?? stream
  handle.reading = false
  handle.readStop?.()
  if (typeof stream.pause !== 'function') return
  stream.pause()
  stream.readableFlowing = false
  if (stream._readableState) stream._readableState.reading = false
  usedAsStdio.add(stream)
}

module.exports = { ChildPipe, stdioSocket, stopReading, usedAsStdio }
