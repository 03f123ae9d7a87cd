'use strict'

/** `interproc/dgram`: what `node:dgram` has, in batches, on the reactor. */

const { Socket } = require('./socket')

/** @satisfies {Record<Exclude<keyof typeof import('../../types/dgram'), 'default'>, unknown>} */
const face = { createSocket, Socket }

module.exports = face

/**
 * @param {any} type `'udp4'`, `'udp6'`, or options with `type`
 * @param {any} [listener] of 'message'
 */
function createSocket (type, listener) {
  return new Socket(type, listener)
}
