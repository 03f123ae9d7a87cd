'use strict'

const { ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_QUEUE_CLOSED, ERR_QUEUE_DAMAGED, uvException } = require('../errors')
const { segmentError } = require('../shared/errors')

/** What the addon answers for a queue whose shared memory is damaged. */
const DAMAGED = -100_001
/** EBADF, on every Unix. */
const CLOSED = -9

/**
 * Why a queue could not be opened, as the error that users see.
 * @param {any} error of the addon: `CODE: message`
 * @param {string} [place]
 * @param {number} [capacity]
 */
function openError (error, place, capacity) {
  const [, code, message] = /^([A-Z_]+(?: -?\d+)?): (.*)$/s.exec(error?.message ?? '') ?? []
  if (code === undefined) return error
  if (code === 'INVALID_NAME') return new ERR_INVALID_ARG_VALUE('name', place, `is not a valid name: ${message}`)
  if (code === 'INVALID_SIZE') return new ERR_OUT_OF_RANGE('options.capacity', '<= 64 GiB', capacity)
  return segmentError({ code, message }, 'open', place, capacity)
}

/**
 * Why a call on a queue failed.
 * @param {number} number a negative errno, or {@link DAMAGED}
 * @param {string} syscall
 */
function callError (number, syscall) {
  if (number === DAMAGED) return new ERR_QUEUE_DAMAGED()
  if (number === CLOSED) return new ERR_QUEUE_CLOSED()
  return uvException({ errno: number, syscall, message: undefined, path: undefined })
}

module.exports = { openError, callError, CLOSED }
