'use strict'

/** Connecting: the look-up of a host name, one attempt, and what follows from its end. */

const dns = require('node:dns')
const net = require('node:net')
const {
  ERR_INVALID_ADDRESS_FAMILY, ERR_INVALID_ARG_TYPE, ERR_INVALID_IP_ADDRESS, ERR_IP_BLOCKED, exceptionWithHostPort
} = require('../errors')
const { validateBoolean, validateFunction, validateInt32, validateNumber, validatePort, validateString } = require('../validate')

module.exports = { afterConnect, attempt, connectPath, connectError, lookupAndConnect }

const { connectAny, inTurns } = require('./connect-any')

/** Of src/node/net/stream.rs: it was the local address that was refused. */
const BIND = 100_000

/**
 * @param {any} socket
 * @param {string} path
 */
function connectPath (socket, path) {
  const status = socket._handle.connect(path)
  if (status < 0) return socket.destroy(exceptionWithHostPort(status, 'connect', path))
  socket._attempt = (/** @type {number} */ ended, /** @type {any} */ handle) => afterConnect(socket, ended, handle, { address: path })
}

/**
 * @param {any} socket
 * @param {any} options of `connect`
 */
function lookupAndConnect (socket, options) {
  const { localAddress, localPort } = options
  if (options.host != null) validateString(options.host, 'options.host')
  const host = options.host || 'localhost'
  const target = checked(options, host)
  const family = net.isIP(host)
  if (family !== 0) {
    process.nextTick(() => { if (socket.connecting) connectTo(socket, { ...target, address: host, family }) })
    return
  }
  if (options.lookup != null) validateFunction(options.lookup, 'options.lookup')
  const lookup = options.lookup || dns.lookup
  const query = { family: familyNumber(options.family), hints: options.hints || 0 }
  const anyFamily = query.family !== 4 && query.family !== 6
  if (process.platform !== 'win32' && anyFamily && query.hints === 0) query.hints = dns.ADDRCONFIG
  socket._host = host
  if (target.autoSelectFamily && anyFamily && !localAddress) return lookupAll(socket, lookup, query, options, target)
  lookup(host, query, (/** @type {any} */ error, /** @type {any} */ address, /** @type {any} */ found) => {
    socket.emit('lookup', error, address, found, host)
    if (!socket.connecting) return
    const problem = error ?? unusable(address, found, options)
    if (problem) return void process.nextTick(() => socket.destroy(problem))
    socket._unrefTimer()
    connectTo(socket, { ...target, address, family: found, localAddress, localPort })
  })
}

/**
 * @param {any} socket
 * @param {any} lookup
 * @param {any} query
 * @param {any} options
 * @param {any} target
 */
function lookupAll (socket, lookup, query, options, target) {
  const { host } = target
  lookup(host, { ...query, all: true }, (/** @type {any} */ error, /** @type {any} */ addresses) => {
    if (!socket.connecting) return
    if (error) {
      socket.emit('lookup', error, undefined, undefined, host)
      return void process.nextTick(() => socket.destroy(error))
    }
    for (const { address, family } of addresses) {
      socket.emit('lookup', error, address, family, host)
      if (!socket.connecting) return
    }
    const usable = inTurns(addresses)
    socket._unrefTimer()
    if (usable.length === 0) {
      const problem = unusable(addresses[0].address, addresses[0].family, options)
      return void process.nextTick(() => socket.destroy(problem))
    }
    if (usable.length === 1) return connectTo(socket, { ...target, ...usable[0] })
    connectAny(socket, usable, target)
  })
}

/**
 * One attempt, whose end is the socket's.
 * @param {any} socket
 * @param {any} to
 */
function connectTo (socket, to) {
  const error = attempt(socket, socket._handle, to)
  if (error) return socket.destroy(error)
  socket._attempt = (/** @type {number} */ status, /** @type {any} */ handle) => afterConnect(socket, status, handle, to)
}

/**
 * Begins one attempt.
 * @param {any} socket
 * @param {any} handle
 * @param {{ address: string, family: number, port: number, localAddress?: string, localPort?: number }} to
 * @returns {Error | null} why it could not begin
 */
function attempt (socket, handle, to) {
  const { address, family, port } = to
  if (socket.blockList?.check(address, `ipv${family}`)) return new ERR_IP_BLOCKED(address)
  const local = to.localAddress || to.localPort ? to.localAddress || (family === 6 ? '::' : '0.0.0.0') : undefined
  socket.emit('connectionAttempt', address, port, family)
  if (socket._handle !== handle) return null // Destroyed by a listener.
  const status = handle.connect(address, port, local, local === undefined ? undefined : (to.localPort ?? 0) | 0)
  if (status >= 0) return null
  if (status < -BIND) return exceptionWithHostPort(status + BIND, 'bind', local, to.localPort)
  // What getsockname() says of a socket that has no address yet.
  const nowhere = `${family === 6 ? '::' : '0.0.0.0'}:0`
  return exceptionWithHostPort(status, 'connect', address, port, local ? `${local}:${to.localPort ?? 0}` : nowhere)
}

/**
 * A connect has ended, well or not.
 * @param {any} socket
 * @param {number} status
 * @param {any} handle
 * @param {any} to
 */
function afterConnect (socket, status, handle, to) {
  if (socket.destroyed || socket._handle !== handle) return
  socket.connecting = false
  socket._sockname = null
  if (status < 0) {
    const error = connectError(status, to)
    socket.emit('connectionAttemptFailed', to.address, to.port, to.family, error)
    return socket.destroy(error)
  }
  socket._unrefTimer()
  socket._applyOptions()
  socket._goDirect()
  socket.emit('connect')
  socket.emit('ready')
  if (!socket.isPaused()) socket.read(0)
}

/**
 * @param {number} status
 * @param {any} to
 */
function connectError (status, { address, port, localAddress, localPort }) {
  const local = localAddress && localPort ? `${localAddress}:${localPort}` : undefined
  const error = exceptionWithHostPort(status, 'connect', address, port, local)
  return local === undefined ? error : Object.assign(error, { localAddress, localPort })
}

/**
 * @param {any} options
 * @param {string} host
 */
function checked (options, host) {
  const { localAddress, localPort, port } = options
  if (localAddress && !net.isIP(localAddress)) throw new ERR_INVALID_IP_ADDRESS(localAddress)
  if (localPort) validateNumber(localPort, 'options.localPort')
  if (port !== undefined) {
    if (typeof port !== 'number' && typeof port !== 'string') throw new ERR_INVALID_ARG_TYPE('options.port', ['number', 'string'], port)
    validatePort(port)
  }
  let { autoSelectFamily, autoSelectFamilyAttemptTimeout: timeout } = options
  if (autoSelectFamily != null) validateBoolean(autoSelectFamily, 'options.autoSelectFamily')
  else autoSelectFamily = net.getDefaultAutoSelectFamily()
  if (timeout != null) validateInt32(timeout, 'options.autoSelectFamilyAttemptTimeout', 1)
  timeout = Math.max(10, timeout ?? net.getDefaultAutoSelectFamilyAttemptTimeout())
  return { host, port: port | 0, localAddress, localPort, autoSelectFamily, timeout }
}

/** @param {any} family 4, 6, or their names */
function familyNumber (family) {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family
}

/**
 * @param {any} address
 * @param {any} family
 * @param {any} options
 */
function unusable (address, family, options) {
  if (net.isIP(address) === 0) return new ERR_INVALID_IP_ADDRESS(address)
  if (family !== 4 && family !== 6) return new ERR_INVALID_ADDRESS_FAMILY(family, options.host, options.port)
  return null
}
