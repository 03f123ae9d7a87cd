'use strict'

/** The errors of ZeroMQ sockets, with zeromq.js 6's texts, codes and (positive) numbers. */

const { constants: { errno: numbers } } = require('node:os')

module.exports = { zmqError, errnoOf }

// ZMQ_HAUSNUMERO of zmq.h, to which libzmq adds for the errors that the system does not have.
const OWN = 156384712
const OWN_CODES = new Map([[OWN + 51, 'EFSM'], [OWN + 52, 'ENOCOMPATPROTO'], [OWN + 53, 'ETERM'], [OWN + 54, 'EMTHREAD']])
const CODES = new Map([...Object.entries(numbers).map(([code, number]) => /** @type {const} */ ([number, code])), ...OWN_CODES])
CODES.set(numbers.EAGAIN, 'EAGAIN') // The same number as EWOULDBLOCK.

/** @type {Record<string, string>} */
const TEXTS = {
  EACCES: 'Permission denied',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EAGAIN: 'Operation was not possible or timed out',
  EBADF: 'Socket is closed',
  EBUSY: 'Socket is busy',
  ECONNREFUSED: 'Connection refused',
  EFAULT: 'Context is closed',
  EFSM: 'Operation cannot be accomplished in current state',
  EHOSTUNREACH: 'Host unreachable',
  EINVAL: 'Invalid argument',
  EMFILE: 'Too many open file descriptors',
  ENAMETOOLONG: 'File name too long',
  ENOCOMPATPROTO: 'The protocol is not compatible with the socket type',
  ENODEV: 'No such device',
  ENOENT: 'No such endpoint',
  ENOTDIR: 'Not a directory',
  EPIPE: 'Broken pipe',
  EPROTONOSUPPORT: 'Protocol not supported',
  ETERM: 'Context was terminated',
  ETIMEDOUT: 'Connection timed out'
}

/** @param {string} code */
function errnoOf (code) {
  for (const [number, name] of OWN_CODES) if (name === code) return number
  return /** @type {Record<string, number>} */ (numbers)[code]
}

/**
 * @param {number | string} error a code, or a number of either sign
 * @param {{ message?: string, address?: string }} [more]
 * @returns {Error & { code: string, errno: number, address?: string }}
 */
function zmqError (error, { message, address } = {}) {
  const errno = typeof error === 'string' ? errnoOf(error) : Math.abs(error)
  const code = typeof error === 'string' ? error : CODES.get(errno) ?? `UNKNOWN_${errno}`
  const made = Object.assign(new Error(message ?? TEXTS[code] ?? code), { errno, code }, address === undefined ? {} : { address })
  Error.captureStackTrace(made, zmqError)
  return made
}
