'use strict'

/**
 * `Atomics.wait`, `waitAsync` and `notify` for shared buffers: between processes. On views of a SharedArrayBuffer they are
 * those of `Atomics`.
 */

const { isSharedArrayBuffer, isInt32Array, isBigInt64Array } = require('node:util').types
const { ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE, ERR_OUT_OF_RANGE, uvException } = require('../errors')
const { isShared, memoryOf } = require('../shared/memory')
const { agent, listen, forget, answers, EAGAIN, EBUSY, ENOSPC } = require('./agent')

module.exports = { wait, waitAsync, notify }

const MAX_COUNT = 2 ** 31 - 1

/** @typedef {Int32Array | BigInt64Array} Words */

/**
 * Blocks the thread until `notify`, if the word is `value`.
 * @param {Words} words
 * @param {number} index
 * @param {number | bigint} value
 * @param {number} [timeout] milliseconds
 * @returns {'ok' | 'not-equal' | 'timed-out'}
 */
function wait (words, index, value, timeout) {
  if (onSharedArrayBuffer(words)) return /** @type {any} */ (Atomics).wait(words, index, value, timeout)
  const request = listen(() => {})
  try {
    const answer = ask(request, words, index, value, milliseconds(timeout), true)
    if (answer === answers.HELD) return 'ok'
    if (answer === answers.NOT_EQUAL) return 'not-equal'
    if (answer === -EAGAIN) return 'timed-out'
    throw refused(answer)
  } finally {
    forget(request)
  }
}

/**
 * The same without blocking; `value` is a promise unless there is nothing to wait for.
 * @param {Words} words
 * @param {number} index
 * @param {number | bigint} value
 * @param {number} [timeout] milliseconds
 * @returns {{ async: false, value: 'not-equal' | 'timed-out' } | { async: true, value: Promise<'ok' | 'timed-out'> }}
 */
function waitAsync (words, index, value, timeout) {
  if (onSharedArrayBuffer(words)) return /** @type {any} */ (Atomics).waitAsync(words, index, value, timeout)
  const limit = milliseconds(timeout)
  if (limit === 0) {
    const result = wait(words, index, value, 0)
    return { async: false, value: /** @type {'not-equal' | 'timed-out'} */ (result) }
  }
  /** @type {(result: 'ok' | 'timed-out') => void} */
  let resolve
  /** @type {(error: Error) => void} */
  let reject
  const request = listen(answer => {
    forget(request)
    if (answer === answers.NOTIFIED) resolve('ok')
    // The word was something else already, when it could be looked at.
    else if (answer === answers.NOT_EQUAL) resolve('ok')
    else if (answer === answers.TIMED_OUT) resolve('timed-out')
    else reject(refused(answer))
  })
  let answer
  try {
    answer = ask(request, words, index, value, limit, false)
  } catch (error) {
    forget(request)
    throw error
  }
  if (answer === answers.WAITING) {
    return { async: true, value: new Promise((...settle) => { [resolve, reject] = settle }) }
  }
  forget(request)
  if (answer === answers.NOT_EQUAL) return { async: false, value: 'not-equal' }
  throw refused(answer)
}

/**
 * Wakes those who wait, in the order of their coming.
 * @param {Words} words
 * @param {number} index
 * @param {number} [count] how many at most; all if it is not given
 * @returns {number} how many it were
 */
function notify (words, index, count = Infinity) {
  if (onSharedArrayBuffer(words)) return Atomics.notify(/** @type {Int32Array} */ (words), index, count)
  const { segment, offset } = place(words, index)
  // As Atomics: what is no number is 0.
  const limit = Math.min(Math.max(Math.trunc(Number(count)) || 0, 0), MAX_COUNT)
  const answer = agent().notify(segment, offset, limit)
  if (answer === -EBUSY) {
    throw uvException({ errno: answer, syscall: 'notify', message: 'another process was stopped while it changed the table of locks' })
  }
  if (answer < 0) throw refused(answer)
  return answer
}

/**
 * @param {number} request
 * @param {Words} words
 * @param {number} index
 * @param {number | bigint} value
 * @param {number} limit milliseconds
 * @param {boolean} block
 */
function ask (request, words, index, value, limit, block) {
  const { segment, offset } = place(words, index)
  const timeout = limit === Infinity ? -1 : limit
  if (isInt32Array(words)) return agent().wait(request, segment, offset, Number(value) >>> 0, undefined, timeout, block)
  // A number is an error here, as with Atomics.
  const bits = BigInt.asUintN(64, /** @type {bigint} */ (value))
  return agent().wait(request, segment, offset, Number(bits & 0xffffffffn), Number(bits >> 32n), timeout, block)
}

/** @param {unknown} words */
function onSharedArrayBuffer (words) {
  if (!isInt32Array(words) && !isBigInt64Array(words)) {
    throw new ERR_INVALID_ARG_TYPE('typedArray', ['Int32Array', 'BigInt64Array'], words)
  }
  if (isSharedArrayBuffer(words.buffer)) return true
  if (!isShared(words.buffer)) throw new ERR_INVALID_ARG_TYPE('typedArray', 'a view of a SharedBuffer', words)
  return false
}

/**
 * @param {Words} words
 * @param {number} index
 */
function place (words, index) {
  const position = Math.trunc(Number(index)) || 0
  if (position < 0 || position >= words.length) throw new ERR_OUT_OF_RANGE('index', `>= 0 && < ${words.length}`, index)
  return { segment: memoryOf(words).segment, offset: words.byteOffset + position * words.BYTES_PER_ELEMENT }
}

/** @param {number | undefined} timeout */
function milliseconds (timeout) {
  const limit = Number(timeout)
  return Number.isNaN(limit) ? Infinity : Math.max(limit, 0)
}

/** @param {number} answer */
function refused (answer) {
  if (answer === -ENOSPC) return new ERR_INVALID_STATE('too many waits at a time on this machine')
  return new ERR_INVALID_STATE('the shared buffer is closed')
}
