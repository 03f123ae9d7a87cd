'use strict'

/** `net.Socket`: the stream of a connection, with its addresses, options, timeout, and connecting. */

const net = require('node:net')
const { channel } = require('node:diagnostics_channel')
const { validateAbortSignal, validateFunction, validateNumber, validateString } = require('../validate')
const {
  AbortError, ERR_INVALID_ARG_VALUE, ERR_INVALID_HANDLE_TYPE, ERR_MISSING_ARGS, ERR_OUT_OF_RANGE, ERR_SOCKET_CLOSED
} = require('../errors')
const { normalizeArgs, isNormalized } = require('./arguments')
const { afterConnect, connectPath, lookupAndConnect } = require('./connect')
const { Handle, Pipe, TCP, handleOfFd } = require('./handle')
const { StreamSocket } = require('./stream-socket')
const { kConnected } = require('./symbols')
const { callable } = require('./callable')

const TIMEOUT_MAX = 2 ** 31 - 1
const clientChannel = channel('net.client.socket')

class SocketClass extends StreamSocket {
  /** @type {string | null} */
  _host = null
  /** @type {any} the socket that this one wraps */
  _parent = null
  /** @type {any} */
  _peername = null
  /** @type {any} */
  _sockname = null
  /** @type {any} */
  server = null
  /** @type {string[] | undefined} */
  autoSelectFamilyAttemptedAddresses = undefined
  /** @type {number | undefined} */
  timeout = undefined
  /** @type {any} who hears of a connect's end */
  _attempt = null
  /** @type {any} */
  blockList = null
  #noDelay
  #keepAlive
  #keepAliveDelay

  /** @param {any} [options] */
  constructor (options) {
    options = typeof options === 'number' ? { fd: options } : { ...options }
    refuseObjectMode(options)
    validateAbortSignal(options.signal, 'options.signal')
    const { signal, ...rest } = options
    super({ ...rest, allowHalfOpen: Boolean(options.allowHalfOpen), emitClose: false, autoDestroy: true, decodeStrings: false })
    this.#noDelay = Boolean(options.noDelay)
    this.#keepAlive = Boolean(options.keepAlive)
    this.#keepAliveDelay = ~~(options.keepAliveInitialDelay / 1000)
    this.blockList = options.blockList
    if (options.server) this.server = this._server = options.server
    const handle = options.handle ?? (options.fd === undefined ? null : handleOfFd(options.fd))
    if (handle) this.#begin(handle, options)
    if (signal) abortWith(signal, this)
  }

  get _connecting () { return this.connecting }
  get localAddress () { return this._getsockname().address }
  get localPort () { return this._getsockname().port }
  get localFamily () { return this._getsockname().family }
  get remoteAddress () { return this._getpeername().address }
  get remotePort () { return this._getpeername().port }
  get remoteFamily () { return this._getpeername().family }

  get readyState () {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  /** @param {...any} args */
  connect (...args) {
    const [options, callback] = isNormalized(args[0]) ? args[0] : normalizeArgs(args)
    if (this.destroyed) this.#rise()
    if (options.port === undefined && options.path == null) throw new ERR_MISSING_ARGS(['options', 'port', 'path'])
    const pipe = Boolean(options.path)
    if (!this._handle) this._attach(pipe ? new Pipe() : new TCP())
    if (callback !== null) this.once('connect', callback)
    this._unrefTimer()
    this.connecting = true
    if (pipe) {
      validateString(options.path, 'options.path')
      connectPath(this, options.path)
    } else {
      lookupAndConnect(this, options)
    }
    return this
  }

  destroySoon () {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  resetAndDestroy () {
    if (!this._handle) {
      this.destroy(new ERR_SOCKET_CLOSED())
      return this
    }
    if (!(this._handle instanceof TCP)) throw new ERR_INVALID_HANDLE_TYPE()
    if (this.connecting) this.once('connect', () => this.#reset())
    else this.#reset()
    return this
  }

  // Options of the connection.

  /** @param {boolean} [enable] */
  setNoDelay (enable) {
    const on = Boolean(enable ?? true)
    if (this._handle?.setNoDelay && !this.connecting && on !== this.#noDelay) this._handle.setNoDelay(on)
    this.#noDelay = on
    return this
  }

  /**
   * @param {boolean} [enable]
   * @param {number} [initialDelay] ms
   */
  setKeepAlive (enable, initialDelay) {
    const on = Boolean(enable)
    const delay = ~~(/** @type {number} */ (initialDelay) / 1000)
    const changed = on !== this.#keepAlive || (on && delay !== this.#keepAliveDelay)
    this.#keepAlive = on
    this.#keepAliveDelay = delay
    if (changed && this._handle?.setKeepAlive && !this.connecting) this._handle.setKeepAlive(on, delay)
    return this
  }

  address () { return this._getsockname() }

  ref () {
    if (this._handle) this._handle.ref()
    else this.once('connect', this.ref)
    return this
  }

  unref () {
    if (this._handle) this._handle.unref()
    else this.once('connect', this.unref)
    return this
  }

  // The timeout.

  /**
   * @param {number} msecs
   * @param {() => void} [callback]
   */
  setTimeout (msecs, callback) {
    if (this.destroyed) return this
    this.timeout = msecs
    const delay = timerDuration(msecs)
    clearTimeout(this._activeTimer())
    this._timer = null
    if (callback !== undefined) validateFunction(callback, 'callback')
    if (delay === 0) {
      if (callback) this.removeListener('timeout', callback)
      return this
    }
    this._timer = setTimeout(() => this._onTimeout(), delay).unref()
    if (callback) this.once('timeout', callback)
    return this
  }

  /** A write that makes progress is no silence. */
  _onTimeout () {
    const left = this._handle?.writeQueueSize ?? 0
    if (this._progressed(left)) {
      this._unrefTimer()
      return
    }
    this.emit('timeout')
  }

  _getsockname () {
    if (!this._handle?.getsockname) return {}
    if (!this._sockname) this._handle.getsockname(this._sockname = {})
    return this._sockname
  }

  _getpeername () {
    if (!this._handle?.getpeername || this.connecting) return this._peername ?? {}
    if (!this._peername) this._handle.getpeername(this._peername = {})
    return this._peername
  }

  /** Tells the kernel what was asked for before there was a connection. */
  _applyOptions () {
    const handle = this._handle
    if (this.#noDelay && handle.setNoDelay) handle.setNoDelay(true)
    if (this.#keepAlive && handle.setKeepAlive) handle.setKeepAlive(true, this.#keepAliveDelay)
  }

  /**
   * @param {any} handle
   * @param {number} status
   */
  [kConnected] (handle, status) {
    const attempt = this._attempt
    this._attempt = null
    if (attempt) attempt(status, handle)
    else afterConnect(this, status, handle, {})
  }

  /**
   * A connection that somebody else made.
   * @param {any} handle
   * @param {any} options
   */
  #begin (handle, options) {
    this._attach(handle)
    this._goDirect()
    if (options.readable === false) return
    if (options.pauseOnCreate) {
      this.readableFlowing = false
    } else if (!options.manualStart) {
      this.read(0)
    }
  }

  /** A closed socket may connect again. */
  #rise () {
    this._undestroy() // Duplex has it for this purpose.
    this._handle = null
    this._peername = null
    this._sockname = null
  }

  #reset () {
    this.resetAndClosing = true
    this.destroy()
  }
}

/** `net.Socket`; also without `new`. A socket of node:net is an instance too. */
const Socket = callable(SocketClass)
Object.defineProperty(SocketClass, Symbol.hasInstance, {
  /**
   * @this {Function}
   * @param {any} value
   */
  value (value) {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true
    return this === Socket && value instanceof net.Socket
  }
})

/**
 * `net.connect(...)`: a new socket that connects.
 * @param {...any} args
 */
function connect (...args) {
  const normal = normalizeArgs(args)
  const [options] = normal
  const socket = new Socket(options)
  if (clientChannel.hasSubscribers) clientChannel.publish({ socket })
  if (options.timeout) socket.setTimeout(options.timeout)
  return socket.connect(normal)
}

/** @param {any} options */
function refuseObjectMode (options) {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode']) {
    if (options[name]) throw new ERR_INVALID_ARG_VALUE(`options.${name}`, options[name], 'is not supported')
  }
  if (options.keepAliveInitialDelay !== undefined) {
    validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
    options.keepAliveInitialDelay = Math.max(0, options.keepAliveInitialDelay)
  }
}

/**
 * @param {AbortSignal} signal
 * @param {any} socket
 */
function abortWith (signal, socket) {
  const abort = () => socket.destroy(new AbortError(undefined, { cause: signal.reason }))
  if (signal.aborted) return process.nextTick(abort)
  signal.addEventListener('abort', abort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', abort))
}

/** @param {number} msecs */
function timerDuration (msecs) {
  validateNumber(msecs, 'msecs')
  if (msecs < 0 || !Number.isFinite(msecs)) throw new ERR_OUT_OF_RANGE('msecs', 'a non-negative finite number', msecs)
  if (msecs <= TIMEOUT_MAX) return msecs
  process.emitWarning(`${msecs} does not fit into a 32-bit signed integer.` +
    `\nTimer duration was truncated to ${TIMEOUT_MAX}.`, 'TimeoutOverflowWarning')
  return TIMEOUT_MAX
}

module.exports = { Socket, Handle, connect }
