'use strict'

/** What `server.listen(...)` takes, and how it begins to listen. */

const dns = require('node:dns')
const { validateAbortSignal, validatePort } = require('../validate')
const { ERR_INVALID_ARG_VALUE, errnoOf, uvExceptionWithHostPort } = require('../errors')
const { isPipeName, normalizeArgs, toNumber } = require('./arguments')
const { ListenHandle } = require('./listen-handle')

module.exports = { listen }

const BACKLOG = 511
const EADDRINUSE = errnoOf('EADDRINUSE')

/**
 * @param {any} server
 * @param {any[]} args `(port[, host][, backlog])`, `(path[, backlog])`, `(options)`, `(handle)`; and a callback
 */
function listen (server, args) {
  const [given, callback] = normalizeArgs(args)
  if (callback !== null) server.once('listening', callback)
  const backlogArg = toNumber(args.length > 1 && args[1]) || toNumber(args.length > 2 && args[2])
  const options = given._handle || given.handle || given
  abortWith(given.signal, server)
  if (options instanceof ListenHandle) return adopt(server, options)
  const backlog = options.backlog || backlogArg || BACKLOG
  if (typeof options.fd === 'number' && options.fd >= 0) {
    return start(server, handle => handle.listenFd(options.fd, backlog), null, null, -1)
  }
  const anyPort = args.length === 0 || typeof args[0] === 'function' ||
    (options.port === undefined && 'port' in options) || options.port === null
  const port = anyPort ? 0 : options.port
  if (typeof port === 'number' || typeof port === 'string') {
    const number = validatePort(port, 'options.port')
    const flags = { ipv6Only: options.ipv6Only === true, reusePort: options.reusePort === true, backlog }
    if (options.host) return lookupAndListen(server, number, options.host, flags)
    return listenAnywhere(server, number, flags)
  }
  if (options.path && isPipeName(options.path)) return listenPath(server, options, backlog)
  if (!('port' in options || 'path' in options)) {
    throw new ERR_INVALID_ARG_VALUE('options', options, 'must have the property "port" or "path"')
  }
  throw new ERR_INVALID_ARG_VALUE('options', options)
}

/**
 * @param {any} server
 * @param {number} port
 * @param {string} host
 * @param {any} flags
 */
function lookupAndListen (server, port, host, flags) {
  const id = server._listeningId
  dns.lookup(host, (error, ip, family) => {
    if (server._handle || server._listeningId !== id) return
    if (error) return void server.emit('error', error)
    listenAt(server, ip, port, family ?? 4, flags)
  })
  return server
}

/**
 * Without a host: every address, IPv6 and IPv4 in one socket where the system has IPv6.
 * @param {any} server
 * @param {number} port
 * @param {any} flags
 */
function listenAnywhere (server, port, flags) {
  const handle = new ListenHandle(server)
  const status = handle.listenIp('::', port, flags)
  if (status >= 0) return started(server, handle, '::', port, 6)
  if (status === EADDRINUSE) return failed(server, status, '::', port)
  return listenAt(server, '0.0.0.0', port, 4, flags)
}

/**
 * @param {any} server
 * @param {string} address
 * @param {number} port
 * @param {number} family
 * @param {any} flags
 */
function listenAt (server, address, port, family, flags) {
  return start(server, handle => handle.listenIp(address, port, flags), address, port, family)
}

/**
 * @param {any} server
 * @param {any} options
 * @param {number} backlog
 */
function listenPath (server, { path, readableAll, writableAll }, backlog) {
  server._pipeName = path
  const mode = (readableAll === true ? 0o444 : 0) | (writableAll === true ? 0o222 : 0)
  return start(server, handle => handle.listenPath(path, backlog, mode), path, -1, -1)
}

/**
 * @param {any} server
 * @param {any} other a handle that listens already
 */
function adopt (server, other) {
  other.server = server
  return started(server, other, null, -1, -1)
}

/**
 * @param {any} server
 * @param {(handle: any) => number} bind
 * @param {string | null} address
 * @param {number | null} port
 * @param {number} family
 */
function start (server, bind, address, port, family) {
  const handle = new ListenHandle(server)
  const status = bind(handle)
  return status < 0 ? failed(server, status, address, port) : started(server, handle, address, port, family)
}

/**
 * @param {any} server
 * @param {any} handle
 * @param {string | null} address
 * @param {number | null} port
 * @param {number} family
 */
function started (server, handle, address, port, family) {
  server._handle = handle
  server._connectionKey = `${family}:${address}:${port}`
  if (server._unref) server.unref()
  process.nextTick(() => { if (server._handle) server.emit('listening') })
  return server
}

/**
 * @param {any} server
 * @param {number} status
 * @param {string | null} address
 * @param {number | null} port
 */
function failed (server, status, address, port) {
  const error = uvExceptionWithHostPort(status, 'listen', address, port)
  process.nextTick(() => server.emit('error', error))
  return server
}

/**
 * @param {AbortSignal | undefined} signal
 * @param {any} server
 */
function abortWith (signal, server) {
  validateAbortSignal(signal, 'options.signal')
  if (signal === undefined) return
  if (signal.aborted) return void process.nextTick(() => server.close())
  const close = () => server.close()
  signal.addEventListener('abort', close, { once: true })
  server.once('close', () => signal.removeEventListener('abort', close))
}
