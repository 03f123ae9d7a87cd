'use strict'

/** `interproc/zeromq/v5-compat`: the API of zeromq.js 4 and 5, on the sockets of version 6. */

const zeromq = require('..')
const Socket = require('./socket')
const constants = require('./constants')
const { SHORT } = require('./options')

class Context {
  constructor () {
    throw new Error('Context cannot be instantiated in compatibility mode')
  }

  /** @param {number} value */
  static setMaxThreads (value) { zeromq.context.setInt32Option(1, value) }
  static getMaxThreads () { return zeromq.context.getInt32Option(1) }
  /** @param {number} value */
  static setMaxSockets (value) { zeromq.context.setInt32Option(2, value) }
  static getMaxSockets () { return zeromq.context.getInt32Option(2) }
}

/**
 * @param {string} type `push`, `pull`, `pub`, `sub`, `req`, `rep`, `dealer`, `router`, `pair`, `xpub`, `xsub`
 * @param {Record<string, unknown>} [options] option properties: `{ linger: 0, identity: 'me' }`
 */
function socket (type, options = {}) {
  const made = new Socket(type)
  for (const [name, value] of Object.entries(options)) (/** @type {any} */ (made))[name] = value
  return made
}

const FRONTS = ['push/pull', 'pull/push', 'xpub/xsub', 'router/dealer', 'xrep/xreq']

/**
 * Passes messages between two sockets, and copies of what goes to the front to a third.
 * @param {InstanceType<typeof Socket>} front
 * @param {InstanceType<typeof Socket>} back
 * @param {InstanceType<typeof Socket>} [capture]
 */
function proxy (front, back, capture) {
  const types = `${front.type}/${back.type}`
  if (!FRONTS.includes(types)) throw new Error('This socket type order is not supported in compatibility mode')
  const envelope = types.startsWith('r') || types.startsWith('xr') ? 2 : 0
  front.on('message', (...frames) => back.send(frames))
  back.on('message', (...frames) => {
    front.send(frames)
    capture?.send(frames.slice(envelope))
  })
}

/** @satisfies {typeof import('../../../types/zeromq/v5-compat.d.ts')} */
const v5 = {
  ...constants,
  version: zeromq.version,
  Context: /** @type {any} */ (Context), // Its constructor is there to refuse.
  Socket: /** @type {any} */ (Socket), // Its options are defined one by one.
  socket: /** @type {any} */ (socket),
  createSocket: /** @type {any} */ (socket),
  proxy: /** @type {any} */ (proxy),
  options: SHORT
}

module.exports = v5
