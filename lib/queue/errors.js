'use strict'

const { ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_QUEUE_CLOSED, ERR_QUEUE_CODEC, ERR_QUEUE_DAMAGED, uvException } = require('../errors')
const { segmentError } = require('../shared/errors')

/** What the addon answers for a queue whose shared memory is damaged. */
const DAMAGED = -100_001
/** EBADF, on every Unix. */
const CLOSED = -9
/** ENOENT, on every Unix. */
const GONE = -2

/** So many calls in a row may fail before an event loop gives up: damage is mostly passed by. */
const MOST_FAILURES = 64

/** Milliseconds until a listener's next message is tried again that could not be had: descriptors or memory were out. */
const PAUSE = 100

/** Those that say that a call failed: none of a codec, which are errors of one message. */
const ofCalls = new WeakSet()

/**
 * Of those the ones that say why a message's body, beside the ring, cannot be had: whether that may pass.
 * @type {WeakMap<any, boolean>}
 */
const ofBodies = new WeakMap()

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
  const error = number === DAMAGED
    ? new ERR_QUEUE_DAMAGED()
    : number === CLOSED
      ? new ERR_QUEUE_CLOSED()
      : uvException({ errno: number, syscall, message: undefined, path: undefined })
  ofCalls.add(error)
  return error
}

/**
 * Why a body beside the ring cannot be had.
 * @param {number} number as of {@link callError}
 */
function bodyError (number) {
  const error = callError(number, 'receive')
  // What is gone stays so, and its message with it. Without descriptors or memory, another try may have it.
  ofBodies.set(error, number !== GONE && number !== DAMAGED && number !== CLOSED)
  return error
}

/**
 * Whether receiving failed for want of what may be there later: the message stays where it is.
 * @param {any} error
 */
function mayPass (error) {
  return ofBodies.get(error) === true
}

/**
 * Why a message cannot be decoded, with the message, which the receiver has all the same and must acknowledge or release.
 * @param {any} error what the codec threw
 * @param {InstanceType<typeof import('./message').Message>} received with its bytes as `data`
 */
function undecodable (error, received) {
  const takes = error instanceof Error && Object.isExtensible(error) && !Object.hasOwn(error, 'received')
  const thrown = takes ? error : Object.assign(new ERR_QUEUE_CODEC('what its codec cannot decode'), { cause: error })
  // Not enumerable: a log of the error need not have all the bytes in it.
  return Object.defineProperty(thrown, 'received', { value: received, configurable: true, writable: true })
}

/** How often receiving failed in a row: where every call fails, going on would take the processor for ever. */
class Failures {
  #count = 0

  /** A call did not fail. */
  end () { this.#count = 0 }

  /**
   * @param {any} error what receiving threw
   * @returns {boolean} whether to give up
   */
  isFatal (error) {
    this.#count = typeof error === 'object' && error !== null && ofCalls.has(error) ? this.#count + 1 : 0
    return this.#count >= MOST_FAILURES
  }
}

module.exports = { openError, bodyError, callError, mayPass, undecodable, CLOSED, Failures, PAUSE }
