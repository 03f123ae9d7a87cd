'use strict'

const native = require('../native')
const { ERR_INVALID_ARG_VALUE, ERR_NOT_SUPPORTED } = require('../errors')
const { validatePlace } = require('../shared/errors')
const { validateBoolean, validateInteger, validateObject } = require('../validate')
const { codecNumbered, codecOf } = require('../queue/codec')
const { openError } = require('../queue/errors')

module.exports = { open, openChannel }

/** @typedef {import('../binding').TopicHandle} TopicHandle */

const CAPACITY = 4 * 1024 * 1024
const MOST = 64 * 1024 ** 3

/** What a queue has, and a topic cannot. */
const NOT_HERE = {
  ack: 'is for queues: a subscriber that dies needs nothing any more',
  path: 'is for queues: a topic keeps nothing for later',
  persistent: 'is for queues: a topic keeps nothing for later',
  spin: 'is for queues, or for publishSync() and receiveSync(): of many subscribers each that looked would take the time of another'
}

/**
 * Opens a topic, or makes it where there is none.
 * @param {any} name
 * @param {any} options
 * @param {() => void} onWake
 * @returns {{ handle: TopicHandle, codec: import('../queue/codec').Codec }}
 */
function open (name, options, onWake) {
  if (typeof name === 'object' && name !== null && options === undefined) [name, options] = [undefined, name]
  const { capacity, codec, create } = checked(name, options)
  const own = codecOf(codec === undefined ? 'json' : codec)
  const handle = call({ place: name, capacity: create ? capacity : 0, codec: own.tag, channel: false }, onWake)
  return { handle, codec: codec === undefined ? codecNumbered(handle.codec) : own }
}

/**
 * Opens what all channels of one name share.
 * @param {string} place
 * @param {{ receives: boolean, codec: number }} options
 * @param {() => void} onWake
 */
function openChannel (place, { receives, codec }, onWake) {
  return call({ place, capacity: CAPACITY, codec, channel: receives }, onWake)
}

/**
 * @param {import('../binding').TopicRequest} request
 * @param {() => void} onWake
 * @returns {TopicHandle}
 */
function call (request, onWake) {
  if (native.openTopic === undefined) {
    throw new ERR_NOT_SUPPORTED('A shared topic', 'it needs file locks that end with their process (OFD locks)')
  }
  try {
    return native.openTopic(request, onWake)
  } catch (error) {
    throw openError(error, request.place, request.capacity)
  }
}

/**
 * @param {any} name
 * @param {any} options
 */
function checked (name, options = {}) {
  if (name !== undefined) validatePlace(name, 'name')
  validateObject(options, 'options')
  const { capacity = CAPACITY, codec, create = true } = options
  validateInteger(capacity, 'options.capacity', 512, MOST)
  validateBoolean(create, 'options.create')
  for (const [key, reason] of Object.entries(NOT_HERE)) {
    if (options[key] !== undefined) throw new ERR_INVALID_ARG_VALUE(`options.${key}`, options[key], reason)
  }
  if (!create && name === undefined) {
    throw new ERR_INVALID_ARG_VALUE('options.create', create, 'needs the name of the topic to open')
  }
  return { capacity, codec, create }
}
