'use strict'

const { resolve } = require('node:path')
const native = require('../native')
const { ERR_INVALID_ARG_VALUE, ERR_NOT_SUPPORTED } = require('../errors')
const { validatePlace } = require('../shared/errors')
const { validateBoolean, validateInteger, validateObject, validateString } = require('../validate')
const { codecNumbered, codecOf } = require('./codec')
const { openError } = require('./errors')

module.exports = { open }

const CAPACITY = 4 * 1024 * 1024
const MOST = 64 * 1024 ** 3
/** Microseconds that a waiting receiver looks before its event loop sleeps, when messages keep coming at once. */
const SPIN = 50

/**
 * Opens a queue or topic, or makes it where there is none.
 * @param {'openQueue'} kind
 * @param {any} name
 * @param {any} options
 * @param {() => void} onWake
 */
function open (kind, name, options, onWake) {
  if (typeof name === 'object' && name !== null && options === undefined) [name, options] = [undefined, name]
  const { ack, capacity, codec, create, path, persistent, spin } = checked(name, options)
  if (native[kind] === undefined) {
    throw new ERR_NOT_SUPPORTED('A shared queue', 'it needs file locks that end with their process (OFD locks)')
  }
  const own = codecOf(codec === undefined ? 'json' : codec)
  let handle
  try {
    const request = { place: name, path, capacity: create ? capacity : 0, persistent, ack: ack ?? false, codec: own.tag, spin }
    handle = native[kind](request, onWake)
  } catch (error) {
    throw openError(error, name ?? path, capacity)
  }
  if (ack !== undefined && handle.acknowledged !== ack) {
    handle.close()
    throw new ERR_INVALID_ARG_VALUE('options.ack', ack, `must be what the queue was created with: ${!ack}`)
  }
  return { handle, codec: codec === undefined ? codecNumbered(handle.codec) : own, path: path ?? null }
}

/**
 * @param {any} name
 * @param {any} options
 */
function checked (name, options = {}) {
  if (name !== undefined) validatePlace(name, 'name')
  validateObject(options, 'options')
  const { ack, capacity = CAPACITY, codec, create = true, path, persistent = false, spin = SPIN } = options
  validateInteger(capacity, 'options.capacity', 512, MOST)
  validateInteger(spin, 'options.spin', 0, 1000)
  for (const [key, value] of Object.entries({ ack, create, persistent })) {
    if (value !== undefined) validateBoolean(value, `options.${key}`)
  }
  if (path !== undefined) {
    validateString(path, 'options.path')
    if (path.length === 0 || path.includes('\0')) throw new ERR_INVALID_ARG_VALUE('options.path', path, 'is no path')
    if (name !== undefined) throw new ERR_INVALID_ARG_VALUE('options.path', path, 'takes the place of a name: give one of them')
  }
  if (!create && name === undefined && path === undefined) {
    throw new ERR_INVALID_ARG_VALUE('options.create', create, 'needs the name of the queue to open')
  }
  // Files of large messages are made beside it, also when the process has gone to another folder.
  return { ack, capacity, codec, create, path: path === undefined ? undefined : resolve(path), persistent, spin }
}
