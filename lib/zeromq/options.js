'use strict'

/**
 * The option properties of sockets and contexts: name, libzmq's number, type, default, and who honours it.
 *
 * An option that nothing here honours may be set, as programs do that for all their sockets, but `bind` and `connect` then
 * throw `ERR_NOT_SUPPORTED`: a socket that was told to authenticate its peers must not talk to them without.
 */

const { ERR_NOT_SUPPORTED } = require('../errors')

/**
 * @typedef {'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'string'} Type
 * @typedef {'native' | 'js' | 'store' | 'missing'} Keeper
 *   `native`: the engine; `js`: lib/zeromq; `store`: of no meaning here, as in libzmq built without the transport that it
 *   belongs to; `missing`: not there yet
 * @typedef {{ id: number, name: string, type: Type, initial: unknown, keeper: Keeper, immediate?: boolean, access?: 'r' | 'w' }} Option
 */

/** Whom the options belong to. */
const GROUPS = {
  all: /** @type {Option[]} */ ([]),
  writable: /** @type {Option[]} */ ([]),
  readable: /** @type {Option[]} */ ([]),
  /** @type {Record<string, Option[]>} */
  of: {}
}

/** @type {Map<number, Option>} */
const BY_ID = new Map()

/**
 * @param {Option[] | string[]} where a group, or the classes' names
 * @param {string} name
 * @param {number} id
 * @param {Type} type
 * @param {unknown} initial
 * @param {Keeper} keeper
 * @param {{ immediate?: boolean, access?: 'r' | 'w' }} [more]
 */
function define (where, name, id, type, initial, keeper, more) {
  const option = { id, name, type, initial, keeper, ...more }
  BY_ID.set(id, option)
  for (const one of where) {
    if (typeof one === 'string') (GROUPS.of[one] ??= []).push(option)
  }
  if (where === GROUPS.all || where === GROUPS.writable || where === GROUPS.readable) /** @type {Option[]} */ (where).push(option)
}

const { all, writable, readable } = GROUPS
const now = { immediate: true }

define(writable, 'sendBufferSize', 11, 'int32', -1, 'native')
define(writable, 'sendHighWaterMark', 23, 'int32', 1000, 'native', now)
define(writable, 'sendTimeout', 28, 'int32', -1, 'js', now)
define(writable, 'multicastHops', 25, 'int32', 1, 'store')
define(readable, 'receiveBufferSize', 12, 'int32', -1, 'native')
define(readable, 'receiveHighWaterMark', 24, 'int32', 1000, 'native', now)
define(readable, 'receiveTimeout', 27, 'int32', -1, 'js', now)

define(all, 'affinity', 4, 'uint64', 0, 'store')
define(all, 'rate', 8, 'int32', 100, 'store')
define(all, 'recoveryInterval', 9, 'int32', 10000, 'store')
define(all, 'linger', 17, 'int32', -1, 'native', now)
define(all, 'reconnectInterval', 18, 'int32', 100, 'native')
define(all, 'backlog', 19, 'int32', 100, 'native')
define(all, 'reconnectMaxInterval', 21, 'int32', 0, 'native')
define(all, 'maxMessageSize', 22, 'int64', -1, 'native')
define(all, 'tcpKeepalive', 34, 'int32', -1, 'native')
define(all, 'tcpKeepaliveCount', 35, 'int32', -1, 'native')
define(all, 'tcpKeepaliveIdle', 36, 'int32', -1, 'native')
define(all, 'tcpKeepaliveInterval', 37, 'int32', -1, 'native')
define(all, 'tcpAcceptFilter', 38, 'string', null, 'missing')
define(all, 'immediate', 39, 'bool', false, 'native')
define(all, 'ipv6', 42, 'bool', false, 'native')
define(all, 'plainServer', 44, 'bool', false, 'missing')
define(all, 'plainUsername', 45, 'string', null, 'missing')
define(all, 'plainPassword', 46, 'string', null, 'missing')
define(all, 'zapDomain', 55, 'string', null, 'missing')
define(all, 'typeOfService', 57, 'uint32', 0, 'native')
define(all, 'handshakeInterval', 66, 'int32', 30000, 'native')
define(all, 'socksProxy', 68, 'string', null, 'missing')
define(all, 'heartbeatInterval', 75, 'int32', 0, 'native')
define(all, 'heartbeatTimeToLive', 76, 'int32', 0, 'native')
define(all, 'heartbeatTimeout', 77, 'int32', -1, 'native')
define(all, 'connectTimeout', 79, 'int32', 0, 'native')
define(all, 'tcpMaxRetransmitTimeout', 80, 'int32', 0, 'native')
define(all, 'multicastMaxTransportDataUnit', 84, 'int32', 1500, 'store')
define(all, 'vmciBufferSize', 85, 'uint64', 0, 'store')
define(all, 'vmciBufferMinSize', 86, 'uint64', 0, 'store')
define(all, 'vmciBufferMaxSize', 87, 'uint64', 0, 'store')
define(all, 'vmciConnectTimeout', 88, 'int32', -1, 'store')
define(all, 'interface', 92, 'string', null, 'native')
define(all, 'zapEnforceDomain', 93, 'bool', false, 'missing')
define(all, 'loopbackFastPath', 94, 'bool', false, 'store')

define(['Request', 'Reply', 'Router', 'Dealer'], 'routingId', 5, 'string', null, 'native')
define(['Router'], 'mandatory', 33, 'bool', false, 'native', now)
define(['Router', 'Dealer', 'Request'], 'probeRouter', 51, 'bool', false, 'native', { ...now, access: 'w' })
define(['Request'], 'correlate', 52, 'bool', false, 'native', { ...now, access: 'w' })
define(['Request'], 'relaxed', 53, 'bool', false, 'native', { ...now, access: 'w' })
define(['Pull', 'Push', 'Subscriber', 'Publisher', 'Dealer'], 'conflate', 54, 'bool', false, 'native', { access: 'w' })
define(['Router'], 'handover', 56, 'bool', false, 'native', { ...now, access: 'w' })
define(['Router'], 'connectRoutingId', 61, 'string', null, 'native', { ...now, access: 'w' })
define(['XPublisher', 'Publisher'], 'noDrop', 69, 'bool', false, 'native', { access: 'w' })
define(['XPublisher'], 'manual', 71, 'bool', false, 'missing', { access: 'w' })
define(['XPublisher'], 'welcomeMessage', 72, 'string', null, 'native', { access: 'w' })
define(['Publisher', 'Subscriber', 'XPublisher'], 'invertMatching', 74, 'bool', false, 'native')
define([], 'verbose', 40, 'bool', false, 'native', now)
define([], 'verboser', 78, 'bool', false, 'native', now)

/** Options that are set by number only. */
const HIDDEN = new Set(['connectRoutingId', 'verbose', 'verboser'])

/**
 * Gives a class its option properties.
 * @param {Function & { prototype: any }} target
 * @param {Option[]} options
 */
function defineProperties (target, options) {
  for (const { id, name, type, access } of options) {
    if (HIDDEN.has(name)) continue
    const kind = `${type[0].toUpperCase()}${type.slice(1)}Option`
    /** @type {PropertyDescriptor} */
    const descriptor = { configurable: false, enumerable: false }
    if (access !== 'w') descriptor.get = function () { return (/** @type {any} */ (this))[`get${kind}`](id) }
    if (access !== 'r') descriptor.set = function (value) { (/** @type {any} */ (this))[`set${kind}`](id, value) }
    Object.defineProperty(target.prototype, name, descriptor)
  }
}

/**
 * @param {Type} type
 * @param {unknown} value
 * @returns {unknown} the value as it is kept
 */
function checkType (type, value) {
  if (type === 'bool') {
    if (typeof value !== 'boolean') throw new TypeError('Option value must be a boolean')
    return value
  }
  if (type === 'string') {
    if (value === null || value === undefined) return null
    if (typeof value !== 'string' && !Buffer.isBuffer(value)) throw new TypeError('Option value must be a string or buffer')
    return value
  }
  if (typeof value !== 'number') throw new TypeError('Option value must be a number')
  return checkNumber(type, value)
}

/**
 * @param {Type} type
 * @param {number} value
 */
function checkNumber (type, value) {
  if (type !== 'uint64') return Math.trunc(value)
  if (value > Number.MAX_SAFE_INTEGER) {
    process.emitWarning('Value is larger than Number.MAX_SAFE_INTEGER and may have been rounded inaccurately.')
  }
  return Math.max(0, value)
}

/**
 * @param {Iterable<[number, unknown]>} values
 * @returns {void} throws if one of them asks for what is missing
 */
function checkSupported (values) {
  for (const [id, value] of values) {
    const option = BY_ID.get(id)
    if (option?.keeper !== 'missing' || value === option.initial) continue
    throw new ERR_NOT_SUPPORTED(`The option ${option.name} of ZeroMQ sockets`, 'this version has only the NULL security mechanism and direct connections')
  }
}

module.exports = { GROUPS, BY_ID, defineProperties, checkType, checkSupported }
