'use strict'

/** `dgram.Socket`: binding, connecting, closing. Sending is in sending.js, socket options are in options.js. */

const { channel } = require('node:diagnostics_channel')
const EventEmitter = require('node:events')
const dns = require('node:dns')
const net = require('node:net')
const {
  ERR_INVALID_FD_TYPE, ERR_IP_BLOCKED, ERR_SOCKET_ALREADY_BOUND, ERR_SOCKET_BAD_TYPE, ERR_SOCKET_DGRAM_IS_CONNECTED,
  ERR_SOCKET_DGRAM_NOT_CONNECTED, ERR_SOCKET_DGRAM_NOT_RUNNING, errnoException, exceptionWithHostPort
} = require('../errors')
const { validateAbortSignal, validateFunction, validatePort, validateString, validateUint32 } = require('../validate')
const native = require('../native')
const { callable } = require('../net/callable')
const batch = require('./batch')
const { UDP } = require('./handle')
const options = require('./options')
const { Outbox } = require('./outbox')
const sending = require('./sending')

const socketChannel = channel('udp.socket')

class SocketClass extends EventEmitter {
  /** @type {InstanceType<typeof UDP> | null} */
  _handle
  /** @type {'unbound' | 'binding' | 'bound'} */
  _bindState = 'unbound'
  /** @type {'disconnected' | 'connecting' | 'connected'} */
  _connectState = 'disconnected'
  _outbox = new Outbox()
  /** @type {(() => void)[] | null} what waits for the socket to be bound */
  #queue = null
  #settings
  #lookup
  #lastLiteral = ''

  /**
   * @param {any} type
   * @param {any} [listener] of 'message'
   */
  constructor (type, listener) {
    super()
    const settings = type !== null && typeof type === 'object' ? type : { type }
    if (settings.recvBufferSize) validateUint32(settings.recvBufferSize, 'options.recvBufferSize')
    if (settings.sendBufferSize) validateUint32(settings.sendBufferSize, 'options.sendBufferSize')
    if (settings.lookup !== undefined) validateFunction(settings.lookup, 'lookup')
    if (settings.type !== 'udp4' && settings.type !== 'udp6') throw new ERR_SOCKET_BAD_TYPE()
    this.type = settings.type
    this.receiveBlockList = settings.receiveBlockList
    this.sendBlockList = settings.sendBlockList
    this.#settings = settings
    this.#lookup = settings.lookup
    this._handle = new UDP(this)
    if (typeof listener === 'function') this.on('message', listener)
    if (settings.signal !== undefined) closeOnAbort(settings.signal, this)
    if (socketChannel.hasSubscribers) socketChannel.publish({ socket: this })
  }

  get _isConnected () { return this._connectState === 'connected' }

  /**
   * @param {any} [port]
   * @param {any} [address]
   * @param {...any} rest
   */
  bind (port, address, ...rest) {
    const handle = this._check()
    if (this._bindState !== 'unbound') throw new ERR_SOCKET_ALREADY_BOUND()
    this._bindState = 'binding'
    const callback = [port, address, ...rest].findLast(argument => typeof argument === 'function')
    if (callback) this.#onceBound(callback)
    if (port instanceof UDP) return this.#adopt(port)
    const where = port !== null && typeof port === 'object' ? port : { port, address }
    if (Number.isInteger(where.fd) && where.fd > 0) return this.#open(handle, where.fd)
    const host = typeof where.address === 'string' && where.address !== '' ? where.address : this.type === 'udp4' ? '0.0.0.0' : '::'
    this._resolve(host, (error, ip) => {
      if (this._handle !== handle) return
      if (error) {
        this._bindState = 'unbound'
        return void this.emit('error', error)
      }
      const wanted = typeof where.port === 'function' ? 0 : Number(where.port) || 0
      const { reuseAddr, reusePort, ipv6Only } = this.#settings
      const status = handle.native.bind(ip, wanted, Boolean(reuseAddr), Boolean(reusePort), Boolean(ipv6Only))
      if (status >= 0) return this.#started()
      this._bindState = 'unbound'
      this.emit('error', exceptionWithHostPort(status, 'bind', ip, wanted))
    })
    return this
  }

  /**
   * @param {any} port
   * @param {any} [address]
   * @param {any} [callback]
   */
  connect (port, address, callback) {
    const number = validatePort(port, 'Port', false)
    if (typeof address === 'function') {
      callback = address
      address = ''
    } else if (address === undefined) {
      address = ''
    }
    validateString(address, 'address')
    this._check()
    if (this._connectState !== 'disconnected') throw new ERR_SOCKET_DGRAM_IS_CONNECTED()
    this._connectState = 'connecting'
    this._bindIfNeeded()
    this._whenBound(() => this.#connect(number, address, callback))
  }

  disconnect () {
    const handle = this._check()
    if (!this._isConnected) throw new ERR_SOCKET_DGRAM_NOT_CONNECTED()
    if (batch.isGathering(this)) batch.flush()
    const status = handle.native.disconnect()
    if (status < 0) throw errnoException(status, 'connect')
    this._connectState = 'disconnected'
  }

  /** @param {any} [callback] */
  close (callback) {
    if (typeof callback === 'function') this.on('close', callback)
    if (this.#queue !== null) {
      this.#queue.push(() => this.close())
      return this
    }
    const handle = this._check()
    if (batch.isGathering(this)) batch.flush()
    handle.close()
    this._handle = null
    process.nextTick(() => this.emit('close'))
    return this
  }

  async [Symbol.asyncDispose ?? Symbol('asyncDispose')] () {
    if (!this._handle) return
    await new Promise(resolve => this.close(resolve))
  }

  address () {
    return nameOf(this._check(), 'getsockname')
  }

  remoteAddress () {
    const handle = this._check()
    if (!this._isConnected) throw new ERR_SOCKET_DGRAM_NOT_CONNECTED()
    return nameOf(handle, 'getpeername')
  }

  ref () {
    this._handle?.ref()
    return this
  }

  unref () {
    this._handle?.unref()
    return this
  }

  /** The handle, if there is one still. */
  _check () {
    if (this._handle === null) throw new ERR_SOCKET_DGRAM_NOT_RUNNING()
    return this._handle
  }

  _bindIfNeeded () {
    if (this._bindState === 'unbound') this.bind({ port: 0, exclusive: true }, null)
  }

  /**
   * Now, or once bound; never if binding fails.
   * @param {() => void} task
   */
  _whenBound (task) {
    if (this._bindState === 'bound') return task()
    if (this.#queue !== null) return void this.#queue.push(task)
    this.#queue = [task]
    const failed = () => {
      this.off('listening', bound)
      this.#queue = null
    }
    const bound = () => {
      this.off(EventEmitter.errorMonitor, failed)
      const queue = this.#queue ?? []
      this.#queue = null
      for (const queued of queue) queued()
    }
    this.once(EventEmitter.errorMonitor, failed)
    this.once('listening', bound)
  }

  /**
   * The IP address of a host.
   * @param {string} host '' is this machine
   * @param {(error: Error | null, ip: string) => void} found
   */
  _resolve (host, found) {
    const lookup = this.#lookup ?? dns.lookup
    if (this.type === 'udp4') lookup(host || '127.0.0.1', 4, found)
    else lookup(host || '::1', 6, found)
  }

  /**
   * An IP address of the socket's family, which no `lookup` of the user's wants to see: it needs no look-up.
   * @param {string} host
   */
  _isLiteral (host) {
    if (host === this.#lastLiteral) return true
    if (this.#lookup !== undefined || net.isIP(host) !== (this.type === 'udp4' ? 4 : 6)) return false
    this.#lastLiteral = host
    return true
  }

  /** Some options need a socket that the kernel knows: as libuv, it is bound to any port for them. */
  _bindForOptions () {
    const handle = this._check()
    if (handle.fd === -1) handle.native.bind(this.type === 'udp4' ? '0.0.0.0' : '::', 0, true, false, false)
  }

  /** @param {any} sent */
  _sendBatch (sent) {
    if (this._handle) this._outbox.send(this._handle.native, sent)
  }

  _onDrain () {
    if (this._handle) this._outbox.drain(this._handle.native)
  }

  /** @param {number} errno */
  _onError (errno) {
    this.emit('error', errnoException(errno, 'recvmsg'))
  }

  /** @param {Function} callback */
  #onceBound (callback) {
    const forget = () => {
      this.off('error', forget)
      this.off('listening', bound)
    }
    const bound = () => {
      forget()
      callback.call(this)
    }
    this.on('error', forget)
    this.on('listening', bound)
  }

  /** @param {InstanceType<typeof UDP>} handle of another socket */
  #adopt (handle) {
    this._handle?.close()
    this._handle = handle
    handle.owner = this
    this.#started()
    return this
  }

  /**
   * @param {InstanceType<typeof UDP>} handle
   * @param {number} fd
   */
  #open (handle, fd) {
    const kind = native.descriptorKind(fd)
    if (kind !== 'UDP') throw new ERR_INVALID_FD_TYPE(kind === 'socket' ? 'TCP' : kind === 'pipe' ? 'PIPE' : kind)
    const status = handle.native.open(fd)
    if (status < 0) throw errnoException(status, 'open')
    this.#started()
    return this
  }

  /**
   * @param {string} ip
   * @param {string} address what the user called it
   * @param {number} port
   */
  #connectTo (ip, address, port) {
    if (this.sendBlockList?.check(ip, `ipv${net.isIP(ip)}`)) return new ERR_IP_BLOCKED(ip)
    const status = this._check().native.connect(ip, port)
    return status < 0 ? exceptionWithHostPort(status, 'connect', address, port) : null
  }

  #started () {
    this._bindState = 'bound'
    const { recvBufferSize, sendBufferSize } = this.#settings
    if (recvBufferSize) options.setRecvBufferSize.call(this, recvBufferSize)
    if (sendBufferSize) options.setSendBufferSize.call(this, sendBufferSize)
    this.emit('listening')
  }

  /**
   * @param {number} port
   * @param {string} address
   * @param {any} callback
   */
  #connect (port, address, callback) {
    if (callback) this.once('connect', callback)
    this._resolve(address, (error, ip) => {
      if (!this._handle) return
      const problem = error ?? this.#connectTo(ip, address, port)
      this._connectState = problem ? 'disconnected' : 'connected'
      process.nextTick(() => {
        if (problem === null) return void this.emit('connect')
        if (!callback) return void this.emit('error', problem)
        this.off('connect', callback)
        callback(problem)
      })
    })
  }
}

/** `dgram.Socket`; also without `new`. */
const Socket = callable(SocketClass)
for (const [name, value] of Object.entries({ ...options, ...sending })) {
  Object.defineProperty(Socket.prototype, name, { value, writable: true, configurable: true })
}

/**
 * @param {any} signal
 * @param {any} socket
 */
function closeOnAbort (signal, socket) {
  validateAbortSignal(signal, 'options.signal')
  const close = () => { if (socket._handle) socket.close() }
  if (signal.aborted) return close()
  signal.addEventListener('abort', close, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', close))
}

/**
 * @param {InstanceType<typeof UDP>} handle
 * @param {'getsockname' | 'getpeername'} which
 */
function nameOf (handle, which) {
  const out = {}
  const status = handle[which](out)
  if (status < 0) throw errnoException(status, which)
  return out
}

module.exports = { Socket }
