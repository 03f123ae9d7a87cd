'use strict'

/** Messages that their sender writes where they will be read: shared memory that is lent until it is sent. */

const { block } = require('../blocking')
const { callError } = require('./errors')
const { ERR_INVALID_STATE } = require('../errors')

module.exports = { lend, loanOf, sendLoan }

/**
 * @typedef {object} Lent
 * @property {import('../binding').QueueHandle} handle of the queue that it is for
 * @property {import('../binding').QueueLoan} loan
 * @property {boolean} sent
 */

/** By the memory that JavaScript sees of it. */
/** @type {WeakMap<ArrayBufferLike, Lent>} */
const loans = new WeakMap()

/** Nobody looks for loans in a program that has none. */
let any = false

/**
 * @param {import('../binding').QueueHandle} handle
 * @param {number} size bytes
 * @returns {Buffer} whose content may be anything
 */
function lend (handle, size) {
  if (size === 0) return Buffer.alloc(0)
  const loan = handle.lend(size)
  if (typeof loan === 'number') throw callError(loan, 'alloc')
  let memory
  try {
    memory = loan.memory()
  } catch {
    // A runtime that allows no memory but its own: the message is copied when it is sent.
    return Buffer.allocUnsafe(size)
  }
  any = true
  loans.set(memory, { handle, loan, sent: false })
  return Buffer.from(memory)
}

/**
 * The loan that a value is: from its begin on, and for this queue. Others are bytes like any.
 * @param {object} handle of a queue or topic
 * @param {any} value
 * @returns {Lent | undefined}
 */
function loanOf (handle, value) {
  if (!any || !ArrayBuffer.isView(value)) return undefined
  const lent = loans.get(value.buffer)
  if (lent === undefined) return undefined
  if (lent.sent) throw new ERR_INVALID_STATE('the buffer was sent already')
  return lent.handle === handle && value.byteOffset === 0 && value.byteLength > 0 ? lent : undefined
}

/**
 * @param {Lent} lent
 * @param {number} tag
 * @param {Buffer} body
 * @param {number} [timeout] milliseconds to block the thread while there is no room; negative: for ever
 * @returns {boolean} whether there was room
 */
function sendLoan (lent, tag, body, timeout = 0) {
  if (lent.sent) throw new ERR_INVALID_STATE('the buffer was sent already')
  // No loan is empty at first. What is detached may be another's by now, and an empty message is not what was meant.
  if (body.byteLength === 0) throw new ERR_INVALID_STATE('the buffer was detached before it was sent')
  const taken = block(timeout, 0, timeout => lent.handle.sendLoan(lent.loan, body.buffer, tag, body.byteLength, timeout))
  if (taken < 0) throw callError(taken, 'send')
  lent.sent = taken === 1
  return lent.sent
}
