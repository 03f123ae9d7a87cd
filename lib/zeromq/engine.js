'use strict'

const { ZmqSocket } = require('../native')
const { zmqError } = require('./errors')

/**
 * Whom the engine calls.
 * @typedef {{
 *   onMessages (slab: ArrayBuffer, offset: number, length: number, messages: number): void,
 *   onLarge (body: ArrayBuffer, more: boolean): void,
 *   onRoom (room: number): void
 * }} Receiver
 */

/**
 * The engine's socket. It knows its channel weakly: a socket that nobody has any more is collected, and so closed.
 * @param {WeakRef<Receiver>} weak
 * @param {number} type
 * @param {import('../binding').ZmqContext} context
 * @param {import('./channel').OnEvent} onEvent
 * @returns {import('../binding').ZmqSocket}
 */
function open (weak, type, context, onEvent) {
  const callbacks = /** @type {[any, any, any]} */ ([
    (/** @type {[ArrayBuffer, number, number, number]} */ ...args) => weak.deref()?.onMessages(...args),
    (/** @type {[ArrayBuffer, boolean]} */ ...args) => weak.deref()?.onLarge(...args),
    (/** @type {number} */ room) => weak.deref()?.onRoom(room)
  ])
  try {
    return new ZmqSocket(context, type, ...callbacks, /** @type {any} */ (onEvent))
  } catch (error) {
    const errno = Number(/** @type {Error} */ (error).message)
    throw Number.isInteger(errno) ? zmqError(errno) : error
  }
}

module.exports = { open }
