'use strict'

/** Happy eyeballs: several addresses of one host, tried one after the other, each with little time but the last. */

const { ERR_SOCKET_CONNECTION_TIMEOUT, aggregate, errnoOf } = require('../errors')
const net = require('node:net')
const { TCP } = require('./handle')

module.exports = { connectAny, inTurns }

const ETIMEDOUT = errnoOf('ETIMEDOUT')

/**
 * The usable addresses, each once, IPv4 and IPv6 in turn; the first one's family begins.
 * @param {{ address: string, family: number }[]} addresses
 */
function inTurns (addresses) {
  const seen = new Set()
  const usable = addresses.filter(({ address, family }) => {
    const fresh = net.isIP(address) !== 0 && (family === 4 || family === 6) && !seen.has(address)
    if (fresh) seen.add(address)
    return fresh
  })
  const first = usable.filter(({ family }) => family === usable[0].family)
  const second = usable.filter(({ family }) => family !== usable[0].family)
  return Array.from({ length: Math.max(first.length, second.length) }, (_, at) => [first[at], second[at]])
    .flat().filter(one => one !== undefined)
}

/**
 * @param {any} socket
 * @param {{ address: string, family: number }[]} addresses
 * @param {any} target port, local end, timeout
 */
function connectAny (socket, addresses, target) {
  // Both need each other; this one is needed at run time only.
  const { afterConnect, attempt, connectError } = require('./connect')
  /** @type {Error[]} */
  const errors = []
  socket.autoSelectFamilyAttemptedAddresses = []
  next(0)

  /** @param {number} index */
  function next (index) {
    if (index === addresses.length) {
      return socket.destroy(errors.length === 0 ? new ERR_SOCKET_CONNECTION_TIMEOUT() : aggregate(errors))
    }
    const to = { ...target, ...addresses[index] }
    const handle = index === 0 ? socket._handle : fresh()
    socket.autoSelectFamilyAttemptedAddresses.push(`${to.address}:${to.port}`)
    const error = attempt(socket, handle, to)
    if (!socket.connecting) return
    if (error) return failed(error)
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    if (index < addresses.length - 1) timer = setTimeout(tooLate, target.timeout)
    socket._attempt = (/** @type {number} */ status) => {
      clearTimeout(timer)
      if (status < 0 && socket.connecting) return failed(connectError(status, to))
      afterConnect(socket, status, handle, to)
    }
    socket.once('close', () => clearTimeout(timer))

    function tooLate () {
      if (!socket.connecting) return
      socket.emit('connectionAttemptTimeout', to.address, to.port, to.family)
      errors.push(connectError(ETIMEDOUT, to))
      if (socket.connecting) next(index + 1)
    }

    /** @param {Error} problem */
    function failed (problem) {
      errors.push(problem)
      socket.emit('connectionAttemptFailed', to.address, to.port, to.family, problem)
      if (socket.connecting) next(index + 1)
    }
  }

  function fresh () {
    const old = socket._handle
    old.owner = null
    old.close()
    const handle = new TCP()
    if (!old.hasRef()) handle.unref()
    socket._attach(handle)
    return handle
  }
}
