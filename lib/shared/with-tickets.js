'use strict'

/** Messages on their way out, for serializers that do not call `toJSON`. */

const { ticketOf } = require('./marker')

module.exports = { withTickets }

/**
 * A copy of the message with a marker in place of each shared buffer; the message itself if it has none.
 * @param {any} message
 * @returns {any}
 */
function withTickets (message) {
  if (!contains(message)) return message
  /** @type {Map<any, any>} */
  const copies = new Map()
  /** @type {[any, any][]} originals and their copies that are still empty */
  const left = []
  /** @param {any} value */
  const copy = value => {
    if (typeof value !== 'object' || value === null) return value
    const known = copies.get(value)
    if (known !== undefined) return known
    const marker = markerOf(value)
    const made = marker ?? emptyLike(value)
    copies.set(value, made)
    if (marker === undefined && made !== value) left.push([value, made])
    return made
  }
  const root = copy(message)
  for (let next; (next = left.pop()) !== undefined;) fill(...next, copy)
  return root
}

/** @param {any} message */
function contains (message) {
  const left = [message]
  const seen = new Set()
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    if (isSharedBuffer(value)) return true
    seen.add(value)
    for (const member of membersOf(value)) left.push(member)
  }
  return false
}

/**
 * @param {any} value
 * @returns {Iterable<any>}
 */
function membersOf (value) {
  if (Array.isArray(value) || value instanceof Set) return value
  if (value instanceof Map) return value.values()
  return isRecord(value) ? Object.values(value) : []
}

/**
 * @param {any} value
 * @returns {any} itself where there is nothing to look into
 */
function emptyLike (value) {
  if (Array.isArray(value)) return []
  if (value instanceof Map) return new Map()
  if (value instanceof Set) return new Set()
  return isRecord(value) ? {} : value
}

/**
 * @param {any} original
 * @param {any} made
 * @param {(value: any) => any} copy
 */
function fill (original, made, copy) {
  if (Array.isArray(original)) for (const member of original) made.push(copy(member))
  else if (original instanceof Map) for (const [key, member] of original) made.set(key, copy(member))
  else if (original instanceof Set) for (const member of original) made.add(copy(member))
  else for (const [key, member] of Object.entries(original)) {
    // Not by assignment: a key may be __proto__.
    Object.defineProperty(made, key, { value: copy(member), configurable: true, enumerable: true, writable: true })
  }
}

/**
 * Objects that both serializers write as their properties: literals and instances of plain classes.
 * @param {any} value
 */
function isRecord (value) {
  return Object.prototype.toString.call(value) === '[object Object]' && typeof value.toJSON !== 'function'
}

/**
 * By what it has: another copy of this package may have made it. `markerOf` looks closer.
 * @param {any} value
 */
function isSharedBuffer (value) {
  return Buffer.isBuffer(value) && 'ticket' in value
}

/** @param {any} value */
function markerOf (value) {
  if (!isSharedBuffer(value)) return undefined
  const marker = value.toJSON()
  return ticketOf(marker) === undefined ? undefined : marker
}
