'use strict'

/**
 * Shared buffers in the messages of `fork` channels and clusters, ours and Node's.
 *
 * On the way out each becomes a marker with its ticket: by `toJSON` where messages are JSON, and by `withTickets` before `send`
 * where they are 'advanced' (that serializer writes bytes and asks nobody). On the way in, markers become buffers just before
 * 'message' is emitted. A marker that cannot be opened stays a plain object, with the reason in `error`: what a peer sends must
 * not throw here.
 */

const { ChildProcess } = require('node:child_process')
const { EventEmitter } = require('node:events')
const { ticketOf } = require('./marker')
const { withTickets: copyWithTickets } = require('./with-tickets')

module.exports = { passThroughChannels, sharedBufferExists, revive, withTickets }

/** Nodes of a message looked at before cycles are watched for. JSON has none, and watching costs more than looking. */
const UNWATCHED = 1000

/** On a method of ours: what it uses, of the newest copy of this module. Jest makes copies, and takes old ones out of service. */
const kPasses = Symbol.for('interproc.passes')

let used = false

/** @type {((message: any) => void) | undefined} */
let first

/** From now on in this process, for channels that do not exist yet and for the one to the parent. */
function passThroughChannels () {
  reviveBefore(process, process.emit)
  reviveBefore(ChildProcess.prototype, EventEmitter.prototype.emit)
  if (typeof process.send === 'function') replace(process, 'send', sending(process.send))
  sendOf(ChildProcess.prototype)
  if ('bun' in process.versions && !first) reviveFirst()
}

/** There is something to look for in what is sent. */
function sharedBufferExists () {
  used = true
}

/**
 * Bun calls the listeners of 'message' without `process.emit`. There the first of them is ours, and revives what is inside of a
 * message, while there is another: a listener alone would keep the process alive.
 */
function reviveFirst () {
  first = message => {
    revive(message)
    process.nextTick(leave) // After `once`.
  }
  process.on('newListener', (event, listener) => {
    if (event !== 'message' || !first || listener === first || process.listeners('message').includes(first)) return
    process.prependListener('message', first)
  })
  for (const name of /** @type {const} */ (['off', 'removeListener'])) {
    const remove = process[name]
    /** @type {(this: any, ...args: any[]) => any} */
    replace(process, name, function (/** @type {any[]} */ ...args) {
      const result = Reflect.apply(remove, process, args)
      if (args[0] === 'message' && args[1] !== first) leave()
      return result
    })
  }
}

function leave () {
  const [only, ...others] = process.listeners('message')
  if (first && only === first && others.length === 0) process.off('message', first)
}

/**
 * A message with its markers replaced, in place where that is possible.
 * @param {any} message
 * @returns {any}
 */
function revive (message) {
  if (typeof message !== 'object' || message === null) return message
  const revived = opened(message)
  if (revived !== message || ArrayBuffer.isView(message)) return revived
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
  /** @param {any} member @param {(buffer: any) => void} replaceBy */
  const look = (member, replaceBy) => {
    if (typeof member !== 'object' || member === null || ArrayBuffer.isView(member)) return
    const buffer = opened(member)
    if (buffer !== member) replaceBy(buffer)
    else left.push(member)
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
  const ticket = ticketOf(value)
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
  if (renewed(emitter.emit)) return
  const uses = { revive }
  /** @type {(this: any, event: string | symbol, ...args: any[]) => boolean} */
  function reviving (event, ...args) {
    if (event === 'message') args[0] = uses.revive(args[0])
    return Reflect.apply(emit, this, [event, ...args])
  }
  Object.defineProperty(reviving, kPasses, { value: uses })
  replace(emitter, 'emit', reviving)
}

/**
 * Node gives every child with a channel its own `send`, by assignment: it arrives here. Bun and Deno have one for all.
 * @param {any} prototype
 */
function sendOf (prototype) {
  const setter = Object.getOwnPropertyDescriptor(prototype, 'send')?.set
  if (setter === undefined && typeof prototype.send === 'function') {
    replace(prototype, 'send', sending(prototype.send))
    return
  }
  if (setter !== undefined && renewed(setter)) return
  const uses = { sending }
  /** @type {(this: object, send: Function) => void} */
  function set (send) {
    replace(this, 'send', uses.sending(send), true)
  }
  Object.defineProperty(set, kPasses, { value: uses })
  Object.defineProperty(prototype, 'send', { get: () => undefined, set, configurable: true, enumerable: false })
}

/**
 * @param {any} send
 * @returns {any} the same, of messages with tickets
 */
function sending (send) {
  if (typeof send !== 'function' || renewed(send)) return send
  const uses = { withTickets }
  /** @type {(this: any, ...args: any[]) => any} */
  function wrapped (...args) {
    args[0] = uses.withTickets(args[0])
    return Reflect.apply(send, this, args)
  }
  Object.defineProperty(wrapped, kPasses, { value: uses })
  Object.defineProperty(wrapped, 'name', { value: send.name })
  Object.defineProperty(wrapped, 'length', { value: send.length })
  return wrapped
}

/**
 * The message, or a copy of it with a marker in place of each shared buffer.
 * @param {any} message
 */
function withTickets (message) {
  return used ? copyWithTickets(message) : message
}

/**
 * Makes a method of ours use this copy of the module.
 * @param {any} method
 * @returns {boolean} whether it is one of ours
 */
function renewed (method) {
  const uses = method[kPasses]
  if (uses === undefined) return false
  for (const [name, value] of Object.entries({ revive, sending, withTickets })) if (name in uses) uses[name] = value
  return true
}

/**
 * @param {object} object
 * @param {string} name
 * @param {Function} value
 * @param {boolean} [enumerable]
 */
function replace (object, name, value, enumerable = false) {
  Object.defineProperty(object, name, { value, configurable: true, writable: true, enumerable })
}
