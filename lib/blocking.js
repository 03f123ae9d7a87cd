'use strict'

/** Milliseconds in native code at most: V8 ends a worker, and the workers of a process that exits, between two calls only. */
const SLICE = 100

/**
 * Blocks the thread slice by slice until `attempt` answers something else than 0, or `timeout` is over: its last answer.
 * @param {number} timeout in milliseconds; negative: for ever
 * @param {number} spin microseconds of them without sleeping
 * @param {(timeout: number, spin: number) => number} attempt blocks no longer than it is told
 * @returns {number}
 */
function block (timeout, spin, attempt) {
  if (timeout >= 0 && timeout <= SLICE) return attempt(timeout, spin)
  const answer = attempt(SLICE, spin)
  return answer === 0 ? goOn(timeout, spin, attempt) : answer
}

module.exports = { block }

/** @type {typeof block} after the first slice */
function goOn (timeout, spin, attempt) {
  const begun = performance.now() - SLICE
  const end = timeout < 0 ? Infinity : begun + timeout
  for (;;) {
    const now = performance.now()
    const left = Math.max(0, end - now)
    const answer = attempt(Math.min(SLICE, left), Math.max(0, Math.floor(spin - (now - begun) * 1000)))
    if (answer !== 0 || left <= SLICE) return answer
  }
}
