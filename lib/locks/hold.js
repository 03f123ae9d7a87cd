'use strict'

/**
 * Getting and giving back, for locks and permits alike. What is held is a number until it is given back.
 */

const { ERR_INVALID_STATE } = require('../errors')
const { agent, listen, block, forget, answers, EAGAIN, ENOSPC, EINVAL } = require('./agent')

module.exports = { get, getSync, give, isHeld }

/**
 * What is asked for.
 * @typedef {object} Ask
 * @property {string} name
 * @property {number} mode
 * @property {number} flags
 * @property {number} count
 * @property {number} limit
 */

/**
 * What was got. `onStolen` is called when another took it.
 * @typedef {object} Grant
 * @property {number} request
 * @property {boolean} ownerDied
 * @property {boolean} stolen
 * @property {(() => void) | undefined} onStolen
 */

/**
 * Asks; calls `done` once, maybe before it returns (not with a signal): with what was got, with `null` if it is not free, or with an error.
 * @param {Ask} ask
 * @param {AbortSignal | undefined} signal
 * @param {(error: unknown, grant: Grant | null) => void} done
 */
function get (ask, signal, done) {
  /** @type {Grant} */
  const grant = { request: 0, ownerDied: false, stolen: false, onStolen: undefined }
  let waits = false
  const request = grant.request = listen(answer => {
    if (waits) settle(answer)
    else if (answer === answers.STOLEN) lose(grant)
  })
  const onAbort = () => {
    if (!agent().cancel(request)) return
    forget(request)
    done(/** @type {AbortSignal} */ (signal).reason, null)
  }
  /** @param {number} answer */
  const settle = answer => {
    if (waits) signal?.removeEventListener('abort', onAbort)
    waits = false
    grant.ownerDied = answer === answers.HELD_AFTER_DEATH
    if (answer === answers.HELD || grant.ownerDied) return signal === undefined ? done(undefined, grant) : queueMicrotask(handOver)
    forget(request)
    if (answer === -EAGAIN) done(undefined, null)
    else done(refused(answer, ask), null)
  }
  // The signal counts until what was got is handed over: also for who aborts it when `get` has just returned.
  const handOver = () => {
    if (!signal?.aborted) return done(undefined, grant)
    // Of a death that it tells of, the next one hears.
    forget(request)
    agent().decline(request)
    done(signal.reason, null)
  }
  const answer = agent().request(request, ask.name, ask.mode, ask.flags, ask.count, ask.limit)
  if (answer !== answers.WAITING) return settle(answer)
  waits = true
  signal?.addEventListener('abort', onAbort, { once: true })
}

/**
 * Blocks the thread until it is got.
 * @param {Ask} ask
 * @param {number} timeout milliseconds
 * @returns {Grant | null} `null`: not in time
 */
function getSync (ask, timeout) {
  /** @type {Grant} */
  const grant = { request: 0, ownerDied: false, stolen: false, onStolen: undefined }
  const request = grant.request = listen(answer => { if (answer === answers.STOLEN) lose(grant) })
  const { name, mode, flags, count, limit } = ask
  const answer = block(request, agent().request(request, name, mode, flags, count, limit, timeout === Infinity ? -1 : timeout))
  grant.ownerDied = answer === answers.HELD_AFTER_DEATH
  if (answer === answers.HELD || grant.ownerDied) return grant
  forget(request)
  if (answer === -EAGAIN) return null
  throw refused(answer, ask)
}

/**
 * @param {Grant} grant
 * @returns {boolean} `false`: it was stolen before
 */
function give ({ request }) {
  forget(request)
  return agent().end(request)
}

/**
 * Whether nobody has stolen it, also if the word of a theft is still on its way.
 * @param {Grant} grant
 */
function isHeld ({ stolen, request }) {
  return !stolen && agent().holds(request)
}

/** @param {Grant} grant */
function lose (grant) {
  forget(grant.request)
  grant.stolen = true
  grant.onStolen?.()
}

/**
 * @param {number} answer
 * @param {Ask} ask
 */
function refused (answer, { name, limit }) {
  if (answer === -ENOSPC) return new DOMException('Too many lock requests at a time on this machine', 'QuotaExceededError')
  if (answer === -EINVAL) return new ERR_INVALID_STATE(`the semaphore '${name}' is in use with another number of permits than ${limit}`)
  if (answer === answers.STOLEN) return new DOMException('The lock was stolen by another request', 'AbortError')
  return new ERR_INVALID_STATE(`this thread is ending, '${name}' cannot be asked for`)
}
