'use strict'

/** `net.Server`: listens, counts its connections, closes when the last one has. */

const EventEmitter = require('node:events')
const { channel } = require('node:diagnostics_channel')
const { validateNumber } = require('../validate')
const { ERR_INVALID_ARG_TYPE, ERR_SERVER_ALREADY_LISTEN, ERR_SERVER_NOT_RUNNING, errnoException } = require('../errors')
const { callable } = require('./callable')
const { TCP } = require('./handle')
const { listen } = require('./listen')
const { Socket } = require('./socket')

const serverChannel = channel('net.server.socket')

class ServerClass extends EventEmitter {
  _connections = 0
  /** @type {any} */
  _handle = null
  _usingWorkers = false
  /** @type {any[]} */
  _workers = []
  _unref = false
  /** Goes up with each close(): a look-up that began before it does not listen any more. */
  _listeningId = 0
  /** @type {string | null} */
  _pipeName = null
  /** @type {string | null} what node:cluster would know it by */
  _connectionKey = null
  /** @type {number | undefined} */
  maxConnections = undefined
  dropMaxConnection = false
  /** @type {any} */
  blockList = undefined

  /**
   * @param {any} [options]
   * @param {any} [onConnection]
   */
  constructor (options, onConnection) {
    super(typeof options === 'object' && options !== null ? { captureRejections: options.captureRejections } : undefined)
    if (typeof options === 'function') {
      onConnection = options
      options = {}
    } else if (options != null && typeof options !== 'object') {
      throw new ERR_INVALID_ARG_TYPE('options', 'Object', options)
    }
    options = { ...options }
    if (options.keepAliveInitialDelay !== undefined) validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
    if (options.highWaterMark !== undefined) validateNumber(options.highWaterMark, 'options.highWaterMark')
    if (typeof onConnection === 'function') this.on('connection', onConnection)
    this.allowHalfOpen = options.allowHalfOpen || false
    this.pauseOnConnect = Boolean(options.pauseOnConnect)
    this.noDelay = Boolean(options.noDelay)
    this.keepAlive = Boolean(options.keepAlive)
    this.keepAliveInitialDelay = ~~(Math.max(0, options.keepAliveInitialDelay ?? 0) / 1000)
    this.highWaterMark = options.highWaterMark >= 0 ? options.highWaterMark : undefined
    this.blockList = options.blockList
  }

  get listening () { return this._handle !== null }

  /** @param {...any} args */
  listen (...args) {
    if (this._handle) throw new ERR_SERVER_ALREADY_LISTEN()
    return listen(this, args)
  }

  /** @param {(error?: Error) => void} [callback] */
  close (callback) {
    if (typeof callback === 'function') {
      const running = this._handle !== null
      this.once('close', () => { running ? callback() : callback(new ERR_SERVER_NOT_RUNNING()) })
    }
    this._listeningId += 1
    if (this._handle) {
      this._handle.close()
      this._handle = null
    }
    this._emitCloseIfDrained()
    return this
  }

  async [Symbol.asyncDispose ?? Symbol('asyncDispose')] () {
    if (!this._handle) return
    await new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
      this.close(error => { error ? reject(error) : resolve() })
    })
  }

  address () {
    if (!this._handle) return null
    if (this._pipeName !== null) return this._pipeName
    const name = {}
    const status = this._handle.getsockname(name)
    if (status < 0) throw errnoException(status, 'address')
    return name
  }

  /** @param {(error: Error | null, count: number) => void} callback */
  getConnections (callback) {
    process.nextTick(callback, null, this._connections)
    return this
  }

  ref () {
    this._unref = false
    this._handle?.ref()
    return this
  }

  unref () {
    this._unref = true
    this._handle?.unref()
    return this
  }

  /**
   * @override
   * @param {Error} error
   * @param {string} event
   * @param {any} socket
   */
  [EventEmitter.captureRejectionSymbol] (error, event, socket) {
    if (event === 'connection') socket.destroy(error)
    else this.emit('error', error)
  }

  /**
   * Called by the listening handle.
   * @param {number} status
   * @param {any} handle
   */
  _onConnection (status, handle) {
    if (status < 0) return void this.emit('error', errnoException(status, 'accept'))
    if (this.maxConnections != null && this._connections >= this.maxConnections) return this.#drop(handle)
    const peer = this.blockList ? endOf(handle, 'getpeername') : null
    if (peer?.address && this.blockList.check(peer.address, peer.family?.toLowerCase())) return handle.close()
    const { allowHalfOpen, pauseOnConnect, noDelay, keepAlive, highWaterMark } = this
    if (noDelay) handle.setNoDelay(true)
    if (keepAlive) handle.setKeepAlive(true, this.keepAliveInitialDelay)
    const socket = new Socket({
      handle,
      allowHalfOpen,
      pauseOnCreate: pauseOnConnect,
      readable: true,
      writable: true,
      readableHighWaterMark: highWaterMark,
      writableHighWaterMark: highWaterMark,
      noDelay,
      keepAlive,
      keepAliveInitialDelay: this.keepAliveInitialDelay * 1000
    })
    this._connections += 1
    socket.server = socket._server = this
    this.emit('connection', socket)
    if (serverChannel.hasSubscribers) serverChannel.publish({ socket })
  }

  _emitCloseIfDrained () {
    if (this._handle || this._connections > 0) return
    process.nextTick(() => this.emit('close'))
  }

  /** @param {any} handle one connection too many */
  #drop (handle) {
    const local = endOf(handle, 'getsockname')
    const remote = endOf(handle, 'getpeername')
    handle.close()
    this.emit('drop', handle instanceof TCP
      ? {
          localAddress: local.address,
          localPort: local.port,
          localFamily: local.family,
          remoteAddress: remote.address,
          remotePort: remote.port,
          remoteFamily: remote.family
        }
      : undefined)
  }
}

/** `net.Server`; also without `new`. */
const Server = callable(ServerClass)

/**
 * @param {any} handle
 * @param {'getsockname' | 'getpeername'} which
 */
function endOf (handle, which) {
  /** @type {any} */
  const name = {}
  handle[which](name)
  return name
}

/**
 * @param {any} [options]
 * @param {any} [onConnection]
 */
function createServer (options, onConnection) {
  return new Server(options, onConnection)
}

module.exports = { Server, createServer }
