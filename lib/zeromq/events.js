'use strict'

const { zmqError } = require('./errors')

/**
 * What the engine tells of, as zeromq.js says it.
 * @param {string} type
 * @param {string} address
 * @param {number} number an interval, an errno, or a status, as the type has it
 * @param {string} code
 * @returns {import('./observer').ZmqEvent}
 */
function toEvent (type, address, number, code) {
  switch (type) {
    case 'connect:retry': return { type, address, interval: number }
    case 'accept:error':
    case 'handshake:error:other': return { type, address, error: zmqError(number) }
    case 'handshake:error:protocol': {
      return { type, address, error: Object.assign(new Error(PROTOCOL_ERRORS[code] ?? code), { code }) }
    }
    case 'handshake:error:auth': {
      return { type, address, error: Object.assign(new Error(AUTH_ERRORS[number] ?? 'Unknown error'), { status: number }) }
    }
    default: return { type, address }
  }
}

/** @type {Record<string, string>} */
const PROTOCOL_ERRORS = {
  ERR_ZMTP_UNSPECIFIED: 'Unspecified protocol error',
  ERR_ZMTP_UNEXPECTED_COMMAND: 'Unexpected command',
  ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED: 'Malformed command',
  ERR_ZMTP_MALFORMED_COMMAND_ERROR: 'Malformed ERROR command',
  ERR_ZMTP_MALFORMED_COMMAND_READY: 'Malformed READY command',
  ERR_ZMTP_INVALID_METADATA: 'Invalid metadata',
  ERR_ZMTP_MECHANISM_MISMATCH: 'Mechanism mismatch'
}

/** @type {Record<number, string>} */
const AUTH_ERRORS = { 300: 'Temporary error', 400: 'Authentication failure', 500: 'Internal error' }

module.exports = { toEvent }
