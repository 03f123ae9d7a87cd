'use strict'

/** The methods of `dgram.Socket` that send. Called with the socket as `this`. */

const {
  ERR_BUFFER_OUT_OF_BOUNDS, ERR_INVALID_ARG_TYPE, ERR_IP_BLOCKED, ERR_SOCKET_DGRAM_IS_CONNECTED
} = require('../errors')
const { validateArray, validateNumber, validatePort, validateString } = require('../validate')
const net = require('node:net')
const batch = require('./batch')
const { ManyReport, Report } = require('./report')

module.exports = { send, sendMany, sendto, getSendQueueCount, getSendQueueSize }

const KINDS = ['Buffer', 'TypedArray', 'DataView', 'string']

/**
 * `send(msg[, offset, length][, port][, address][, callback])`; `msg` may be a list of parts of one datagram.
 * @this {any}
 * @param {any} buffer
 * @param {any} [offset]
 * @param {any} [length]
 * @param {any} [port]
 * @param {any} [address]
 * @param {any} [callback]
 */
function send (buffer, offset, length, port, address, callback) {
  if (!this._isConnected) {
    if (address || (port && typeof port !== 'function')) buffer = slice(buffer, offset, length)
    else [port, address, callback] = [offset, length, port]
  } else {
    if (typeof length === 'number') {
      buffer = slice(buffer, offset, length)
      if (typeof port === 'function') [port, callback] = [null, port]
    } else {
      callback = offset
    }
    if (port || address) throw new ERR_SOCKET_DGRAM_IS_CONNECTED()
  }
  const parts = Array.isArray(buffer) ? buffer.map(part => bytesOf(part, 'buffer list arguments', buffer)) : [bytesOf(buffer, 'buffer', buffer)]
  if (!this._isConnected) port = validatePort(port, 'Port', false)
  if (typeof callback !== 'function') callback = undefined
  if (typeof address === 'function') [callback, address] = [address, undefined]
  else if (address != null) validateString(address, 'address')
  this._check()
  this._bindIfNeeded()
  if (this._bindState === 'bound') dispatch(this, parts, port, address, callback)
  else this._whenBound(() => { this._handle && dispatch(this, parts, port, address, callback) })
}

/**
 * Sends many datagrams to one place with few system calls; not in node:dgram.
 * @this {any}
 * @param {any[]} messages bytes or strings, one datagram each
 * @param {any} [port] and address; not on a connected socket
 * @param {any} [address]
 * @param {any} [callback] `(error, sent)`: how many the kernel took, and what the first other one failed with
 */
function sendMany (messages, port, address, callback) {
  validateArray(messages, 'messages')
  const given = [port, address, callback]
  const then = given.find(argument => typeof argument === 'function') ?? (() => {})
  const [place, host] = given.filter(argument => typeof argument !== 'function')
  if (this._isConnected ? place : host != null && typeof host !== 'string') {
    if (this._isConnected) throw new ERR_SOCKET_DGRAM_IS_CONNECTED()
    throw new ERR_INVALID_ARG_TYPE('address', 'string', host)
  }
  const number = this._isConnected ? 0 : validatePort(place, 'Port', false)
  const list = messages.map((message, index) => Buffer.from(bytesOf(message, `messages[${index}]`, message)))
  this._check()
  this._bindIfNeeded()
  this._whenBound(() => {
    if (!this._handle) return
    if (list.length === 0) return void process.nextTick(then, null, 0)
    resolved(this, host, error => process.nextTick(then, error, 0), ip => {
      const report = new ManyReport(then, list.length, ip, number)
      for (const bytes of list) enqueue(this, [bytes], bytes.length, ip, number, report)
    })
  })
}

/**
 * @this {any}
 * @param {any} buffer
 * @param {number} offset
 * @param {number} length
 * @param {number} port
 * @param {string} address
 * @param {any} callback
 */
function sendto (buffer, offset, length, port, address, callback) {
  validateNumber(offset, 'offset')
  validateNumber(length, 'length')
  validateNumber(port, 'port')
  validateString(address, 'address')
  this.send(buffer, offset, length, port, address, callback)
}

/** @this {any} */
function getSendQueueSize () {
  return this._outbox.bytes + batch.queued(this).bytes
}

/** @this {any} */
function getSendQueueCount () {
  return this._outbox.count + batch.queued(this).count
}

/**
 * @param {any} socket
 * @param {Uint8Array[]} parts
 * @param {number} port
 * @param {string | undefined} address
 * @param {any} callback
 */
function dispatch (socket, parts, port, address, callback) {
  const failed = (/** @type {Error} */ error) => {
    process.nextTick(() => { callback ? callback(error) : socket.emit('error', error) })
  }
  resolved(socket, address, failed, ip => {
    let length = 0
    for (const part of parts) length += part.byteLength
    enqueue(socket, parts, length, ip, port, callback && new Report(callback, ip, port))
  })
}

/**
 * @param {any} socket
 * @param {Uint8Array[]} parts
 * @param {number} length
 * @param {string | null} ip
 * @param {number} port
 * @param {any} report
 */
function enqueue (socket, parts, length, ip, port, report) {
  // Larger than any datagram: the kernel shall say so, but needs not see all of it.
  if (length > MOST) batch.gather(socket, [TOO_LARGE], MOST, ip, port, report)
  else batch.gather(socket, parts, length, ip, port, report)
}

const MOST = 65536
const TOO_LARGE = Buffer.alloc(MOST)

/**
 * Calls `found` with the IP address: at once for a literal, null on a connected socket.
 * @param {any} socket
 * @param {string | undefined} address
 * @param {(error: Error) => void} failed
 * @param {(ip: string | null) => void} found
 */
function resolved (socket, address, failed, found) {
  if (socket._isConnected) return found(null)
  const check = (/** @type {string} */ ip) => {
    if (!socket.sendBlockList?.check(ip, `ipv${net.isIP(ip)}`)) return found(ip)
    failed(new ERR_IP_BLOCKED(ip))
  }
  const literal = address || (socket.type === 'udp4' ? '127.0.0.1' : '::1')
  if (socket._isLiteral(literal)) return check(literal)
  socket._resolve(literal, (/** @type {Error | null} */ error, /** @type {string} */ ip) => {
    if (!socket._handle) return
    if (error) failed(error)
    else check(ip)
  })
}

/**
 * @param {any} buffer
 * @param {any} offset
 * @param {any} length
 */
function slice (buffer, offset, length) {
  const bytes = bytesOf(buffer, 'buffer', buffer)
  offset = offset >>> 0
  length = length >>> 0
  if (offset > bytes.byteLength) throw new ERR_BUFFER_OUT_OF_BOUNDS('offset')
  if (offset + length > bytes.byteLength) throw new ERR_BUFFER_OUT_OF_BOUNDS('length')
  return bytes.subarray(offset, offset + length)
}

/**
 * @param {any} value
 * @param {string} name
 * @param {any} shown what the error shows
 * @returns {Uint8Array}
 */
function bytesOf (value, name, shown) {
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string') return Buffer.from(value)
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw new ERR_INVALID_ARG_TYPE(name, KINDS, shown)
}
