'use strict'

/** Errors of system calls, as Node makes them. `errno` is negative and counted as libuv counts. Use them through lib/errors.js. */

const util = require('node:util')
const { constants: { errno: numbers } } = require('node:os')

module.exports = { errnoOf, codeOf, errnoException, exceptionWithHostPort, uvException, uvExceptionWithHostPort, dnsException, aggregate }

// libuv's numbers of what getaddrinfo(3) answers; no name of node:os says them.
const EAI_NODATA = -3007
const EAI_NONAME = -3008

/**
 * The negative number of a code: `errnoOf('ECONNREFUSED')` is -111 on Linux.
 * @param {string} code
 * @returns {number}
 */
function errnoOf (code) {
  const positive = /** @type {Record<string, number>} */ (numbers)[code]
  if (positive !== undefined && process.platform !== 'win32') return -positive
  for (const [number, [name]] of util.getSystemErrorMap()) if (name === code) return number
  return positive === undefined ? 0 : -positive
}

/**
 * The code of a negative number: `ECONNREFUSED`; `Unknown system error -9999` for one that the system does not have.
 * @param {number} errno
 * @returns {string}
 */
function codeOf (errno) {
  return Number.isInteger(errno) && errno < 0 ? util.getSystemErrorName(errno) : `Unknown system error ${errno}`
}

/**
 * `spawn ENOENT`, `read ECONNRESET`.
 * @param {number} errno
 * @param {string} syscall
 * @param {string} [original] what follows the code
 */
function errnoException (errno, syscall, original) {
  const code = codeOf(errno)
  return make(`${syscall} ${code}${original ? ` ${original}` : ''}`, { errno, code, syscall }, errnoException)
}

/**
 * `connect ECONNREFUSED 127.0.0.1:80 - Local (127.0.0.1:4321)`.
 * @param {number} errno
 * @param {string} syscall
 * @param {string | null} [address] IP address or socket path
 * @param {number | null} [port]
 * @param {string} [additional] the local end
 */
function exceptionWithHostPort (errno, syscall, address, port, additional) {
  const code = codeOf(errno)
  const local = additional ? ` - Local (${additional})` : ''
  const message = `${syscall} ${code}${place(address, port)}${local}`
  return make(message, { errno, code, syscall, address, ...(port ? { port } : {}) }, exceptionWithHostPort)
}

/**
 * `listen EADDRINUSE: address already in use 127.0.0.1:80`.
 * @param {number} errno
 * @param {string} syscall
 * @param {string | null} [address]
 * @param {number | null} [port]
 */
function uvExceptionWithHostPort (errno, syscall, address, port) {
  const code = codeOf(errno)
  const message = `${syscall} ${code}: ${explain(errno)}${place(address, port)}`
  return make(message, { code, errno, syscall, address, ...(port ? { port } : {}) }, uvExceptionWithHostPort)
}

/**
 * `ENOENT: no such file or directory, open '/x' -> '/y'`.
 * @param {{ errno: number, syscall: string, message?: string, path?: string, dest?: string }} context
 */
function uvException ({ errno, syscall, message, path, dest }) {
  const code = codeOf(errno)
  const text = `${code}: ${message ?? explain(errno)}, ${syscall}${path ? ` '${path}'` : ''}${dest ? ` -> '${dest}'` : ''}`
  return make(text, { errno, code, syscall, ...(path ? { path } : {}), ...(dest ? { dest } : {}) }, uvException)
}

/**
 * `getaddrinfo ENOTFOUND host`.
 * @param {number | string} error negative number, or a resolver's own code
 * @param {string} syscall
 * @param {string} [hostname]
 */
function dnsException (error, syscall, hostname) {
  const errno = typeof error === 'number' ? error : undefined
  const code = typeof error === 'string' ? error : error === EAI_NODATA || error === EAI_NONAME ? 'ENOTFOUND' : codeOf(error)
  const message = `${syscall} ${code}${hostname ? ` ${hostname}` : ''}`
  return make(message, { errno, code, syscall, ...(hostname ? { hostname } : {}) }, dnsException)
}

/**
 * One error for several attempts, with the first one's code.
 * @param {NodeJS.ErrnoException[]} errors
 */
function aggregate (errors) {
  return Object.assign(new AggregateError(errors), { code: errors[0]?.code })
}

/**
 * @template {object} P
 * @param {string} message
 * @param {P} properties
 * @param {Function} maker where the stack shall begin
 */
function make (message, properties, maker) {
  const error = new Error(message)
  Error.captureStackTrace(error, maker)
  return Object.assign(error, properties)
}

/** @param {number} errno */
function explain (errno) {
  return util.getSystemErrorMap().get(errno)?.[1] ?? 'unknown error'
}

/**
 * @param {string | null} [address]
 * @param {number | null} [port]
 */
function place (address, port) {
  if (port && port > 0) return ` ${address}:${port}`
  return address ? ` ${address}` : ''
}
