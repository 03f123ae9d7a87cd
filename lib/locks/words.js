'use strict'

/**
 * `Atomics.wait`, `waitAsync` and `notify` for shared buffers: between processes. On views of a SharedArrayBuffer they are
 * those of `Atomics`.
 */

const { isSharedArrayBuffer, isInt32Array, isBigInt64Array } = require('node:util').types
const { ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE, ERR_OUT_OF_RANGE, uvException } = require('../errors')
const { isShared, memoryOf } = require('../shared/memory')
const { agent, listen, block, forget, answers, EAGAIN, EBUSY, ENOSPC } = require('./agent')

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
  return waitFor(read(words, index, value, timeout))
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
  const word = read(words, index, value, timeout)
  if (word.limit === 0) return { async: false, value: /** @type {'not-equal' | 'timed-out'} */ (waitFor(word)) }
  /** @type {(result: 'ok' | 'timed-out') => void} */
  let resolve
  /** @type {(error: Error) => void} */
  let reject
  const { memory: { pending } } = word
  const request = listen(answer => {
    forget(request)
    pending.delete(end)
    if (answer === answers.NOTIFIED) resolve('ok')
    // The word was something else already, when it could be looked at.
    else if (answer === answers.NOT_EQUAL) resolve('ok')
    else if (answer === answers.TIMED_OUT) resolve('timed-out')
    else reject(refused(answer))
  })
  // When this thread closes the buffer. A notification that is on its way counts.
  const end = () => {
    if (!agent().cancel(request)) return
    forget(request)
    reject(closed())
  }
  const answer = ask(request, word, false)
  if (answer === answers.WAITING) {
    pending.add(end)
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
  const position = validIndex(words, index)
  // As Atomics: what is no number is 0.
  const limit = Math.min(Math.max(Math.trunc(+count) || 0, 0), MAX_COUNT)
  const { segment, offset } = place(words, position)
  const answer = agent().notify(segment, offset, limit)
  if (answer === -EBUSY) {
    throw uvException({ errno: answer, syscall: 'notify', message: 'another process was stopped while it changed the table of locks' })
  }
  if (answer < 0) throw refused(answer)
  return answer
}

/**
 * A word of shared memory, and what it is thought to be.
 * @typedef {object} Word
 * @property {import('../shared/memory').Memory} memory
 * @property {number} offset
 * @property {number} low
 * @property {number | undefined} high of 64 bits
 * @property {number} limit milliseconds
 */

/**
 * Reads the arguments, in the order and with the errors of Atomics.
 * @param {Words} words
 * @param {number} index
 * @param {number | bigint} value
 * @param {number} [timeout]
 * @returns {Word}
 */
function read (words, index, value, timeout) {
  const position = validIndex(words, index)
  const [low, high] = isInt32Array(words) ? [narrow(value), undefined] : halves(value)
  const limit = milliseconds(timeout)
  // The last: reading the others may have closed it.
  return { ...place(words, position), low, high, limit }
}

/**
 * @param {Word} word
 * @returns {'ok' | 'not-equal' | 'timed-out'}
 */
function waitFor (word) {
  const request = listen(() => {})
  const answer = block(request, ask(request, word, true))
  forget(request)
  if (answer === answers.HELD) return 'ok'
  if (answer === answers.NOT_EQUAL) return 'not-equal'
  if (answer === -EAGAIN) return 'timed-out'
  throw refused(answer)
}

/**
 * @param {number} request
 * @param {Word} word
 * @param {boolean} blocks
 */
function ask (request, { memory: { segment }, offset, low, high, limit }, blocks) {
  return agent().wait(request, segment, offset, low, high, limit === Infinity ? -1 : limit, blocks)
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
function validIndex (words, index) {
  const position = Math.trunc(+index) || 0
  if (memoryOf(words).closed) throw closed()
  if (position < 0 || position >= words.length) throw new ERR_OUT_OF_RANGE('index', `>= 0 && < ${words.length}`, index)
  return position
}

/**
 * @param {Words} words
 * @param {number} position
 */
function place (words, position) {
  const memory = memoryOf(words)
  if (memory.closed) throw closed()
  return { memory, segment: memory.segment, offset: words.byteOffset + position * words.BYTES_PER_ELEMENT }
}

/** @param {any} value a BigInt is an error here, as with Atomics */
function narrow (value) {
  return +value >>> 0
}

/** @param {any} value a number is an error here, as with Atomics */
function halves (value) {
  const bits = BigInt.asUintN(64, value)
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)]
}

/** @param {number | undefined} timeout */
function milliseconds (timeout) {
  // Not `Number`, which takes a BigInt.
  const limit = timeout === undefined ? NaN : +timeout
  return Number.isNaN(limit) ? Infinity : Math.max(limit, 0)
}

/** @param {number} answer */
function refused (answer) {
  return answer === -ENOSPC ? new ERR_INVALID_STATE('too many waits at a time on this machine') : closed()
}

function closed () {
  return new ERR_INVALID_STATE('the shared buffer is closed')
}
