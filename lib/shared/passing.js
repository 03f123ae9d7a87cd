'use strict'

/**
 * Shared buffers in the messages of `fork` channels and clusters, ours and Node's.
 *
 * On the way out JSON calls `toJSON`; the 'advanced' serializer writes views as bytes and gets the ticket's bytes instead. On the
 * way in, markers become buffers just before 'message' is emitted. A marker that cannot be opened stays a plain object, with the
 * reason in `error`: what a peer sends must not throw here.
 */

const { ChildProcess } = require('node:child_process')
const { EventEmitter } = require('node:events')
const v8 = require('node:v8')
const { ticketOf, ticketOfBytes, markerBytes } = require('./marker')

module.exports = { passThroughChannels, revive }

/** Nodes of a message looked at before cycles are watched for. JSON has none, and watching costs more than looking. */
const UNWATCHED = 1000

/** On a method of ours: what it uses, of the newest copy of this module. Jest makes copies, and takes old ones out of service. */
const kPasses = Symbol.for('interproc.passes')

/** From now on in this process. */
function passThroughChannels () {
  reviveBefore(process, process.emit)
  reviveBefore(ChildProcess.prototype, EventEmitter.prototype.emit)
  writeTickets()
}

/**
 * A message with its markers replaced, in place where that is possible.
 * @param {any} message
 * @returns {any}
 */
function revive (message) {
  if (typeof message !== 'object' || message === null) return message
  const revived = opened(message)
  if (revived !== message) return revived
  /** @type {any[]} */
  const left = [message]
  /** @type {Set<any> | undefined} */
  let seen
  for (let count = 0; left.length > 0; count++) {
    if (count === UNWATCHED) seen = new Set()
    const value = left.pop()
    if (seen?.has(value)) continue
    seen?.add(value)
    visit(value, left)
  }
  return message
}

/**
 * Opens the markers among the members of `value`, and adds the other members to `left`.
 * @param {any} value
 * @param {any[]} left
 */
function visit (value, left) {
  /** @param {any} member @param {(buffer: any) => void} replace */
  const look = (member, replace) => {
    if (typeof member !== 'object' || member === null) return
    const buffer = opened(member)
    if (buffer !== member) replace(buffer)
    else if (!ArrayBuffer.isView(member)) left.push(member)
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) look(value[i], buffer => { value[i] = buffer })
  } else if (value instanceof Map) {
    for (const [key, member] of value) look(member, buffer => value.set(key, buffer))
  } else if (value instanceof Set) {
    const members = [...value]
    let changed = false
    members.forEach((member, i) => look(member, buffer => {
      members[i] = buffer
      changed = true
    }))
    if (!changed) return
    value.clear()
    for (const member of members) value.add(member)
  } else {
    for (const key of Object.keys(value)) look(value[key], buffer => { value[key] = buffer })
  }
}

/**
 * The buffer that a marker means; anything else unchanged.
 * @param {any} value
 */
function opened (value) {
  const ticket = ArrayBuffer.isView(value) ? ticketOfBytes(value) : ticketOf(value)
  if (ticket === undefined) return value
  try {
    return require('./shared-buffer').SharedBuffer.open(ticket)
  } catch (error) {
    return { $interproc: 'SharedBuffer', ticket, error }
  }
}

/**
 * @param {any} emitter
 * @param {Function} emit
 */
function reviveBefore (emitter, emit) {
  if (emitter.emit[kPasses] !== undefined) {
    emitter.emit[kPasses].revive = revive
    return
  }
  const uses = { revive }
  /** @type {(this: any, event: string | symbol, ...args: any[]) => boolean} */
  function reviving (event, ...args) {
    if (event === 'message') args[0] = uses.revive(args[0])
    return Reflect.apply(emit, this, [event, ...args])
  }
  replace(emitter, 'emit', reviving, uses)
}

function writeTickets () {
  const prototype = /** @type {any} */ (v8.DefaultSerializer.prototype)
  const original = prototype._writeHostObject
  // Bun has no such method: there, messages in "advanced" form carry the bytes.
  if (original === undefined || original[kPasses] !== undefined) return
  /** @type {(this: any, value: any) => any} */
  function writing (value) {
    // Only in messages: v8.serialize itself shall write the bytes.
    if (this.constructor.name === 'ChildProcessSerializer' && typeof value.toJSON === 'function') {
      const ticket = ticketOf(value.toJSON())
      if (ticket !== undefined) return Reflect.apply(original, this, [markerBytes(ticket)])
    }
    return Reflect.apply(original, this, [value])
  }
  replace(prototype, '_writeHostObject', writing, {})
}

/**
 * @param {object} object
 * @param {string} name
 * @param {Function} value
 * @param {object} uses
 */
function replace (object, name, value, uses) {
  Object.defineProperty(value, kPasses, { value: uses })
  Object.defineProperty(object, name, { value, configurable: true, writable: true, enumerable: false })
}
