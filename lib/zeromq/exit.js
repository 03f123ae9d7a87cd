'use strict'

/**
 * The end of the process: sockets that still have messages to send are closed when nothing else is left to do, and their
 * `linger` decides how long the process stays for them. As libzmq does when its context ends.
 */

/**
 * @typedef {{ getBoolOption (id: number): boolean }} Context
 * @typedef {{ closed: boolean, close (): void, isFlushed: boolean, isLingering: boolean, context?: Context }} Closable
 */

const BLOCKY = 70
/** How long the process stays silently. */
const PATIENCE = 500

/** @type {Set<WeakRef<Closable>>} */
const sockets = new Set()
/** @type {WeakMap<Closable, WeakRef<Closable>>} */
const references = new WeakMap()
const collected = new FinalizationRegistry(/** @param {WeakRef<Closable>} reference */ reference => sockets.delete(reference))
let watching = false

/** @param {Closable} socket */
function track (socket) {
  const reference = new WeakRef(socket)
  sockets.add(reference)
  references.set(socket, reference)
  collected.register(socket, reference)
  if (watching) return
  watching = true
  process.on('beforeExit', closeAll)
}

/** @param {Closable} socket closed, with nothing left to send */
function forget (socket) {
  const reference = references.get(socket)
  if (reference !== undefined) sockets.delete(reference)
}

function closeAll () {
  const waiting = []
  let blocky = false
  for (const reference of sockets) {
    const socket = reference.deref()
    if (socket === undefined || socket.closed || socket.isFlushed) continue
    blocky ||= socket.context?.getBoolOption(BLOCKY) === true
    socket.close()
    if (socket.isLingering) waiting.push(socket)
  }
  if (waiting.length > 0) setTimeout(warn, PATIENCE, waiting, blocky).unref()
}

/**
 * @param {Closable[]} sockets
 * @param {boolean} blocky
 */
function warn (sockets, blocky) {
  if (!sockets.some(socket => socket.isLingering)) return
  const advice = blocky ? " Set 'context.blocky = false' to change this behaviour." : ''
  process.stderr.write(`(node:${process.pid}) WARNING: Waiting for queued ZeroMQ messages to be delivered.${advice}\n`)
}

module.exports = { track, forget }
