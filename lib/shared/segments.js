'use strict'

/** The shared segments of this user on this machine: what `interproc ls`, `cleanup` and `rm` show and do. */

const { shared } = require('./native')
const { segmentError, validatePlace } = require('./errors')
const { validateBoolean, validateObject } = require('../validate')

module.exports = { list, cleanup, remove }

/** @typedef {import('../../types/shared').SegmentInfo} SegmentInfo */

/**
 * All segments: buffers, queues and the rest, named or not.
 * @returns {SegmentInfo[]}
 */
function list () {
  return call(() => shared().listSegments().map(describe))
}

/**
 * Removes what killed processes left, and what is damaged. Never what someone uses.
 * @returns {SegmentInfo[]} what it removed
 */
function cleanup () {
  return call(() => shared().cleanupSegments().map(describe))
}

/**
 * Removes one segment, also a persistent one.
 * @param {string} place name or ticket
 * @param {{ force?: boolean }} [options] `force`: although it is in use; its users keep the memory. Not the table of locks: its users would
 *   not exclude those who come later
 * @returns {boolean} `false` if it is in use
 */
function remove (place, options = {}) {
  validatePlace(place, 'place')
  validateObject(options, 'options')
  if (options.force !== undefined) validateBoolean(options.force, 'options.force')
  return call(() => shared().removeSegment(place, options.force ?? false), 'remove', place)
}

/**
 * @template T
 * @param {() => T} action
 * @param {'list' | 'remove'} [syscall]
 * @param {string} [place]
 * @returns {T}
 */
function call (action, syscall = 'list', place) {
  try {
    return action()
  } catch (error) {
    throw segmentError(error, syscall, place)
  }
}

/**
 * @param {import('../binding.js').SegmentInfo} info
 * @returns {SegmentInfo}
 */
function describe ({ fileName, name, ticket, kind, size, total, persistent, created, users, health }) {
  return {
    name: name ?? null,
    ticket: ticket ?? null,
    kind: kind ?? null,
    size,
    total,
    persistent,
    health,
    created: new Date(created),
    users: users.map(({ pid, alive, since }) => ({ pid, alive, since: new Date(since) })),
    fileName
  }
}
