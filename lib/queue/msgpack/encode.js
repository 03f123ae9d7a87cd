'use strict'

/** Values as MessagePack. */

const { isAnyArrayBuffer, isDate, isMap, isSet } = require('node:util').types
const { ERR_INVALID_ARG_VALUE } = require('../../errors')
const { DEPTH, TIMESTAMP } = require('./constants')

module.exports = { encode }

/** Grows by doubling; one for all calls. */
let scratch = Buffer.allocUnsafeSlow(8192)
let at = 0

/**
 * @param {any} value
 * @returns {Buffer}
 */
function encode (value) {
  // Not 0: a getter or `toJSON` of a value that is being encoded may encode another one.
  const begin = at
  try {
    write(value, 0)
    return Buffer.from(scratch.subarray(begin, at))
  } finally {
    at = begin
    if (begin === 0 && scratch.length > 1 << 20) scratch = Buffer.allocUnsafeSlow(8192)
  }
}

/**
 * @param {any} value
 * @param {number} depth
 */
function write (value, depth) {
  if (depth > DEPTH) throw new ERR_INVALID_ARG_VALUE('value', '[nested]', `must not be nested more than ${DEPTH} deep`)
  switch (typeof value) {
    case 'string': return writeText(value)
    case 'number': return writeNumber(value)
    case 'bigint': return writeBigInt(value)
    case 'boolean': return byte(value ? 0xc3 : 0xc2)
    case 'undefined': return byte(0xc0)
    case 'object': return value === null ? byte(0xc0) : writeObject(value, depth)
    default: throw new ERR_INVALID_ARG_VALUE('value', value, 'has no MessagePack form')
  }
}

/**
 * @param {any} value
 * @param {number} depth
 */
function writeObject (value, depth) {
  if (Array.isArray(value)) {
    writeArray(value, depth)
  } else if (ArrayBuffer.isView(value)) {
    writeBytes(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  } else if (isAnyArrayBuffer(value)) {
    writeBytes(Buffer.from(value))
  } else if (isSet(value)) {
    writeArray([...value], depth)
  } else if (isMap(value)) {
    // What is written calls getters, which may change it: its length is that of now.
    const entries = [...value]
    length(entries.length, 0x80, 15, undefined, 0xde, 0xdf)
    for (const [key, one] of entries) {
      write(key, depth + 1)
      write(one, depth + 1)
    }
  } else if (isDate(value)) {
    writeDate(value)
  } else if (typeof value.toJSON === 'function') {
    write(value.toJSON(), depth + 1)
  } else {
    const keys = Object.keys(value).filter(key => value[key] !== undefined)
    length(keys.length, 0x80, 15, undefined, 0xde, 0xdf)
    for (const key of keys) {
      writeText(key)
      write(value[key], depth + 1)
    }
  }
}

/** @type {(values: any[], depth: number) => void} */
function writeArray (values, depth) {
  const count = values.length
  length(count, 0x90, 15, undefined, 0xdc, 0xdd)
  for (let i = 0; i < count; i++) write(values[i], depth + 1)
}

/** @param {Buffer} bytes */
function writeBytes (bytes) {
  length(bytes.length, undefined, -1, 0xc4, 0xc5, 0xc6)
  room(bytes.length)
  at += bytes.copy(scratch, at)
}

/** @param {string} text */
function writeText (text) {
  const size = Buffer.byteLength(text)
  length(size, 0xa0, 31, 0xd9, 0xda, 0xdb)
  room(size)
  at += scratch.write(text, at)
}

/** @param {number} value */
function writeNumber (value) {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    byte(0xcb)
    room(8)
    at = scratch.writeDoubleBE(value, at)
  } else if (value >= 0) {
    if (value < 0x80) byte(value)
    else if (value < 0x100) sized(0xcc, value, 1)
    else if (value < 0x10000) sized(0xcd, value, 2)
    else if (value < 0x100000000) sized(0xce, value, 4)
    else writeBigInt(BigInt(value))
  } else if (value >= -0x20) byte(value & 0xff)
  else if (value >= -0x80) sized(0xd0, value & 0xff, 1)
  else if (value >= -0x8000) sized(0xd1, value & 0xffff, 2)
  else if (value >= -0x80000000) sized(0xd2, value >>> 0, 4)
  else writeBigInt(BigInt(value))
}

/** @param {bigint} value */
function writeBigInt (value) {
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw new ERR_INVALID_ARG_VALUE('value', value, 'does not fit 64 bits')
  byte(value < 0n ? 0xd3 : 0xcf)
  room(8)
  at = value < 0n ? scratch.writeBigInt64BE(value, at) : scratch.writeBigUInt64BE(value, at)
}

/** @param {Date} date */
function writeDate (date) {
  const time = date.getTime()
  if (Number.isNaN(time)) throw new ERR_INVALID_ARG_VALUE('value', date, 'is no time')
  const seconds = Math.floor(time / 1000)
  sized(0xc7, 12, 1)
  byte(TIMESTAMP & 0xff)
  room(12)
  at = scratch.writeUInt32BE((time - seconds * 1000) * 1e6, at)
  at = scratch.writeBigInt64BE(BigInt(seconds), at)
}

/**
 * A head that says a length, in the shortest form there is.
 * @param {number} size
 * @param {number | undefined} fix
 * @param {number} most that fits the fix form
 * @param {number | undefined} one
 * @param {number} two
 * @param {number} four
 */
function length (size, fix, most, one, two, four) {
  if (fix !== undefined && size <= most) byte(fix | size)
  else if (one !== undefined && size < 0x100) sized(one, size, 1)
  else if (size < 0x10000) sized(two, size, 2)
  else sized(four, size, 4)
}

/** @param {number} value */
function byte (value) {
  room(1)
  scratch[at++] = value
}

/** @type {(head: number, value: number, bytes: number) => void} */
function sized (head, value, bytes) {
  byte(head)
  room(bytes)
  at = scratch.writeUIntBE(value, at, bytes)
}

/** @param {number} bytes */
function room (bytes) {
  if (at + bytes <= scratch.length) return
  const larger = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, at + bytes))
  scratch.copy(larger, 0, 0, at)
  scratch = larger
}
