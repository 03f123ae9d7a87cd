'use strict'

/**
 * This thread's requests: each has a number, and a listener for what becomes of it later.
 */

const native = require('../native')
const { segmentError } = require('../shared/errors')
const { ERR_NOT_SUPPORTED } = require('../errors')

/** What the addon answers; negative: an errno. The same numbers as in `src/node/locks.rs`. */
const answers = { WAITING: 0, HELD: 1, HELD_AFTER_DEATH: 2, STOLEN: 3, NOTIFIED: 4, TIMED_OUT: 5, NOT_EQUAL: 6 }
const modes = { exclusive: 1, shared: 2, permits: 3, wait: 4 }
const flags = { ifAvailable: 1, steal: 2 }

const { EAGAIN, EBUSY, ENOSPC, EINVAL } = require('node:os').constants.errno

/** @typedef {(answer: number) => void} Listener */

/** @type {import('../binding.js').LockAgent | undefined} */
let known

/** @type {Map<number, Listener>} */
const listeners = new Map()
let last = 0

/** The thread's agent, made at the first use. */
function agent () {
  if (known !== undefined) return known
  if (native.LockAgent === undefined) {
    throw new ERR_NOT_SUPPORTED('Locks between processes', 'they need file locks that end with their process (OFD locks)')
  }
  try {
    known = new native.LockAgent((request, answer) => listeners.get(request)?.(answer))
  } catch (error) {
    throw segmentError(error, 'open', 'interproc locks')
  }
  return known
}

/**
 * @param {Listener} listener
 * @returns {number} of a new request
 */
function listen (listener) {
  do last = (last + 1) >>> 0; while (listeners.has(last))
  listeners.set(last, listener)
  return last
}

/**
 * Blocks the thread until there is an answer. Native code comes back without one every 100 ms: V8 ends a thread between two calls only.
 * @param {number} request
 * @param {number} answer the first one
 * @returns {number}
 */
function block (request, answer) {
  while (answer === answers.WAITING) answer = agent().block(request)
  return answer
}

/** @param {number} request */
function forget (request) {
  listeners.delete(request)
}

module.exports = { agent, listen, block, forget, answers, modes, flags, EAGAIN, EBUSY, ENOSPC, EINVAL }
