'use strict'

/**
 * The shared memory that this JS thread has open: one ArrayBuffer per segment and mode, and what is known of it.
 *
 * The ArrayBuffer keeps the memory mapped. It is let go when nothing refers to it any more, or by `close`.
 */

const { shared } = require('./native')
const { segmentError } = require('./errors')
const { ERR_INVALID_STATE, ERR_OUT_OF_RANGE } = require('../errors')
const { sharedBufferExists } = require('./passing')
const { guardDecoders } = require('./text')

const { MAX_LENGTH } = require('node:buffer').constants

module.exports = { create, open, close, memoryOf, isShared, wholeBuffer, hold }

/**
 * How long memory that was just passed to another process stays although this one closes it: the message is on its way. Shorter if as
 * many processes opened it as messages were made.
 */
const IN_FLIGHT_MS = 10_000

/**
 * @typedef {object} Memory
 * @property {ArrayBuffer} bytes
 * @property {import('../binding.js').SharedSegment} segment
 * @property {string | null} name
 * @property {string} ticket
 * @property {boolean} persistent
 * @property {boolean} readOnly
 * @property {boolean} closed
 * @property {Set<() => void>} pending what ends with it: called by `close`
 */

/** @type {WeakMap<ArrayBufferLike, Memory>} */
const memories = new WeakMap()

/** The buffer over the whole of each open memory, so that opening again gives the same one. By ticket and mode. */
/** @type {Map<string, WeakRef<Buffer>>} */
const buffers = new Map()

const collected = new FinalizationRegistry(/** @param {string} key */ key => {
  if (buffers.get(key)?.deref() === undefined) buffers.delete(key)
})

/** What is passed to others right now, by ticket. */
/** @type {Map<string, { segment: import('../binding.js').SharedSegment, timer: NodeJS.Timeout, awaited: number }>} */
const inFlight = new Map()

/**
 * @param {number} size bytes
 * @param {string | undefined} name
 * @param {boolean} persistent whether it stays when the last user leaves
 * @returns {Memory}
 */
function create (size, name, persistent) {
  try {
    return adopt(shared().createSharedBuffer(name, size, persistent), false)
  } catch (error) {
    throw segmentError(error, 'alloc', name, size)
  }
}

/**
 * @param {string} place name or ticket
 * @param {boolean} readOnly
 * @returns {Memory}
 */
function open (place, readOnly) {
  /** @type {import('../binding.js').SharedSegment} */
  let segment
  try {
    segment = shared().openSharedBuffer(place, readOnly)
  } catch (error) {
    throw segmentError(error, 'open', place)
  }
  const { size } = segment
  if (size > MAX_LENGTH) {
    // Made where buffers may be larger. Node 20 does not refuse such an ArrayBuffer but ends by SIGSEGV.
    segment.close()
    throw new ERR_OUT_OF_RANGE('place', `a segment of at most ${MAX_LENGTH} bytes, the most that this Node gives a buffer`, size)
  }
  try {
    return adopt(segment, readOnly)
  } catch (error) {
    segment.close()
    throw segmentError(error, 'open', place)
  }
}

/**
 * Every view of it has length 0 from now on.
 * @param {Memory} memory
 */
function close (memory) {
  if (memory.closed) return
  memory.closed = true
  buffers.delete(keyOf(memory))
  memory.segment.close(memory.bytes)
  for (const end of memory.pending) end()
  memory.pending.clear()
  const held = inFlight.get(memory.ticket)
  if (held !== undefined && held.segment.joins >= held.awaited) release(memory.ticket)
}

/**
 * @param {ArrayBufferView} view
 * @returns {Memory}
 */
function memoryOf (view) {
  const memory = memories.get(view.buffer)
  if (memory === undefined) throw new ERR_INVALID_STATE('not a shared buffer')
  return memory
}

/** @param {any} bytes */
function isShared (bytes) {
  return memories.has(bytes)
}

/**
 * The one buffer over all of it.
 * @template {Buffer} B
 * @param {Memory} memory
 * @param {() => B} make where there is none yet
 * @returns {B}
 */
function wholeBuffer (memory, make) {
  const key = keyOf(memory)
  const known = /** @type {B | undefined} */ (buffers.get(key)?.deref())
  if (known !== undefined) return known
  const buffer = make()
  buffers.set(key, new WeakRef(buffer))
  collected.register(buffer, key)
  return buffer
}

/**
 * Keeps the segment for a while, although this thread may close it at once.
 * @param {Memory} memory
 */
function hold (memory) {
  const { ticket } = memory
  const known = inFlight.get(ticket)
  if (known !== undefined) {
    known.awaited++
    known.timer.refresh()
    return
  }
  const segment = memory.segment.hold()
  const timer = setTimeout(() => release(ticket), IN_FLIGHT_MS)
  timer.unref()
  inFlight.set(ticket, { segment, timer, awaited: segment.joins + 1 })
}

/** @param {string} ticket */
function release (ticket) {
  const held = inFlight.get(ticket)
  if (held === undefined) return
  inFlight.delete(ticket)
  clearTimeout(held.timer)
  held.segment.close()
}

/**
 * @param {import('../binding.js').SharedSegment} segment
 * @param {boolean} readOnly
 * @returns {Memory}
 */
function adopt (segment, readOnly) {
  const bytes = /** @type {ArrayBuffer} */ (segment.memory())
  const known = memories.get(bytes)
  if (known !== undefined) {
    segment.close()
    return known
  }
  const { name, ticket, persistent } = segment
  const memory = { bytes, segment, name, ticket: /** @type {string} */ (ticket), persistent, readOnly, closed: false, pending: new Set() }
  memories.set(bytes, memory)
  guardDecoders(bytes)
  sharedBufferExists()
  return memory
}

/** @param {Memory} memory */
function keyOf ({ ticket, readOnly }) {
  return `${ticket}${readOnly ? ' read-only' : ''}`
}
