'use strict'

/** The methods of `dgram.Socket` that set options. Called with the socket as `this`. */

const { ERR_MISSING_ARGS, ERR_SOCKET_BAD_BUFFER_SIZE, errnoException } = require('../errors')
const { validateNumber, validateString } = require('../validate')
const { socketBufferSizeError } = require('./errors')

module.exports = {
  addMembership,
  addSourceSpecificMembership,
  dropMembership,
  dropSourceSpecificMembership,
  getRecvBufferSize,
  getSendBufferSize,
  setBroadcast,
  setMulticastInterface,
  setMulticastLoopback,
  setMulticastTTL,
  setRecvBufferSize,
  setSendBufferSize,
  setTTL
}

/**
 * @this {any}
 * @param {any} on
 */
function setBroadcast (on) {
  attempt(this._check().native.setBroadcast(Boolean(on)), 'setBroadcast')
}

/**
 * @this {any}
 * @param {number} ttl
 */
function setTTL (ttl) {
  validateNumber(ttl, 'ttl')
  attempt(this._check().native.setTtl(ttl), 'setTTL')
  return ttl
}

/**
 * @this {any}
 * @param {number} ttl
 */
function setMulticastTTL (ttl) {
  validateNumber(ttl, 'ttl')
  attempt(this._check().native.setMulticastTtl(ttl), 'setMulticastTTL')
  return ttl
}

/**
 * @this {any}
 * @param {any} on
 */
function setMulticastLoopback (on) {
  attempt(this._check().native.setMulticastLoopback(Boolean(on)), 'setMulticastLoopback')
  return on
}

/**
 * @this {any}
 * @param {string} interfaceAddress
 */
function setMulticastInterface (interfaceAddress) {
  const handle = this._check()
  validateString(interfaceAddress, 'interfaceAddress')
  attempt(handle.native.setMulticastInterface(interfaceAddress), 'setMulticastInterface')
}

/**
 * @this {any}
 * @param {string} group
 * @param {string} [interfaceAddress]
 */
function addMembership (group, interfaceAddress) {
  changeMembership(this, group, interfaceAddress, true, 'addMembership')
}

/**
 * @this {any}
 * @param {string} group
 * @param {string} [interfaceAddress]
 */
function dropMembership (group, interfaceAddress) {
  changeMembership(this, group, interfaceAddress, false, 'dropMembership')
}

/**
 * @this {any}
 * @param {string} source
 * @param {string} group
 * @param {string} [interfaceAddress]
 */
function addSourceSpecificMembership (source, group, interfaceAddress) {
  changeSourceMembership(this, source, group, interfaceAddress, true, 'addSourceSpecificMembership')
}

/**
 * @this {any}
 * @param {string} source
 * @param {string} group
 * @param {string} [interfaceAddress]
 */
function dropSourceSpecificMembership (source, group, interfaceAddress) {
  changeSourceMembership(this, source, group, interfaceAddress, false, 'dropSourceSpecificMembership')
}

/** @this {any} @param {number} size */
function setRecvBufferSize (size) {
  bufferSize(this, true, size)
}

/** @this {any} @param {number} size */
function setSendBufferSize (size) {
  bufferSize(this, false, size)
}

/** @this {any} */
function getRecvBufferSize () {
  return bufferSize(this, true, 0)
}

/** @this {any} */
function getSendBufferSize () {
  return bufferSize(this, false, 0)
}

/**
 * @param {any} socket
 * @param {string} group
 * @param {string | undefined} interfaceAddress
 * @param {boolean} join
 * @param {string} name
 */
function changeMembership (socket, group, interfaceAddress, join, name) {
  const handle = socket._check()
  if (!group) throw new ERR_MISSING_ARGS('multicastAddress')
  socket._bindForOptions()
  attempt(handle.native.setMembership(String(group), interfaceAddress, undefined, join), name)
}

/**
 * @param {any} socket
 * @param {string} source
 * @param {string} group
 * @param {string | undefined} interfaceAddress
 * @param {boolean} join
 * @param {string} name
 */
function changeSourceMembership (socket, source, group, interfaceAddress, join, name) {
  const handle = socket._check()
  validateString(source, 'sourceAddress')
  validateString(group, 'groupAddress')
  socket._bindForOptions()
  attempt(handle.native.setMembership(group, interfaceAddress, source, join), name)
}

/**
 * @param {any} socket
 * @param {boolean} receive
 * @param {number} size 0 asks
 */
function bufferSize (socket, receive, size) {
  if (size >>> 0 !== size) throw new ERR_SOCKET_BAD_BUFFER_SIZE()
  const result = size > 0x7fffffff ? -22 : socket._check().native.bufferSize(receive, size)
  if (result < 0) throw socketBufferSizeError(result, receive ? 'uv_recv_buffer_size' : 'uv_send_buffer_size')
  return result
}

/**
 * @param {number} status
 * @param {string} syscall
 */
function attempt (status, syscall) {
  if (status < 0) throw errnoException(status, syscall)
}
