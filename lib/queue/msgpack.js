'use strict'

/**
 * MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): what rmp-serde, msgpack-python and others read and write.
 *
 * Integers up to 2^53 are numbers, larger ones bigints; a Map keeps its keys, objects have string keys; bytes are Buffers;
 * a Date is the timestamp extension. Other extensions are read as `{ type, data }`.
 */

const { ERR_INVALID_ARG_VALUE, ERR_QUEUE_CODEC } = require('../errors')

module.exports = { encode, decode }

/** Nesting beyond this is a mistake (a cycle) or an attack. */
const DEPTH = 512
const TIMESTAMP = -1

/** Grows by doubling; one for all calls, which do not overlap. */
let scratch = Buffer.allocUnsafeSlow(8192)
let at = 0

/**
 * @param {any} value
 * @returns {Buffer}
 */
function encode (value) {
  at = 0
  write(value, 0)
  const bytes = Buffer.from(scratch.subarray(0, at))
  if (scratch.length > 1 << 20) scratch = Buffer.allocUnsafeSlow(8192)
  return bytes
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
    length(value.length, 0x90, 15, undefined, 0xdc, 0xdd)
    for (const one of value) write(one, depth + 1)
  } else if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    length(bytes.length, undefined, -1, 0xc4, 0xc5, 0xc6)
    room(bytes.length)
    at += bytes.copy(scratch, at)
  } else if (value instanceof Map) {
    length(value.size, 0x80, 15, undefined, 0xde, 0xdf)
    for (const [key, one] of value) {
      write(key, depth + 1)
      write(one, depth + 1)
    }
  } else if (Object.prototype.toString.call(value) === '[object Date]') {
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

/**
 * @param {Buffer} bytes
 * @returns {any}
 */
function decode (bytes) {
  const reader = { bytes, at: 0 }
  const value = read(reader, 0)
  if (reader.at !== bytes.length) throw damaged('bytes after its end')
  return value
}

/** @typedef {{ bytes: Buffer, at: number }} Reader */

/**
 * @param {Reader} from
 * @param {number} depth
 * @returns {any}
 */
function read (from, depth) {
  if (depth > DEPTH) throw damaged('nested too deep')
  const head = number(from, 1)
  if (head < 0x80) return head
  if (head < 0x90) return readMap(from, head & 15, depth)
  if (head < 0xa0) return readArray(from, head & 15, depth)
  if (head < 0xc0) return take(from, head & 31).toString('utf8')
  if (head >= 0xe0) return head - 0x100
  switch (head) {
    case 0xc0: return null
    case 0xc2: return false
    case 0xc3: return true
    case 0xc4: case 0xc5: case 0xc6: return Buffer.from(take(from, number(from, 1 << (head - 0xc4))))
    case 0xc7: case 0xc8: case 0xc9: return readExtension(from, number(from, 1 << (head - 0xc7)))
    case 0xca: return take(from, 4).readFloatBE()
    case 0xcb: return take(from, 8).readDoubleBE()
    case 0xcc: case 0xcd: case 0xce: return number(from, 1 << (head - 0xcc))
    case 0xcf: return small(take(from, 8).readBigUInt64BE())
    case 0xd0: return take(from, 1).readInt8()
    case 0xd1: return take(from, 2).readInt16BE()
    case 0xd2: return take(from, 4).readInt32BE()
    case 0xd3: return small(take(from, 8).readBigInt64BE())
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return readExtension(from, 1 << (head - 0xd4))
    case 0xd9: case 0xda: case 0xdb: return take(from, number(from, 1 << (head - 0xd9))).toString('utf8')
    case 0xdc: case 0xdd: return readArray(from, number(from, head === 0xdc ? 2 : 4), depth)
    case 0xde: case 0xdf: return readMap(from, number(from, head === 0xde ? 2 : 4), depth)
    default: throw damaged('a byte that has no meaning')
  }
}

/** @type {(from: Reader, count: number, depth: number) => any[]} */
function readArray (from, count, depth) {
  // A declared length allocates nothing: each member takes a byte at least.
  if (count > from.bytes.length - from.at) throw damaged('shorter than it says')
  const array = []
  for (let i = 0; i < count; i++) array.push(read(from, depth + 1))
  return array
}

/** @type {(from: Reader, count: number, depth: number) => any} */
function readMap (from, count, depth) {
  if (count > (from.bytes.length - from.at) / 2) throw damaged('shorter than it says')
  const entries = []
  for (let i = 0; i < count; i++) entries.push([read(from, depth + 1), read(from, depth + 1)])
  // `fromEntries` defines members, also one that is named `__proto__`.
  return entries.every(([key]) => typeof key === 'string') ? Object.fromEntries(entries) : new Map(/** @type {any} */ (entries))
}

/** @type {(from: Reader, size: number) => Date | { type: number, data: Buffer }} */
function readExtension (from, size) {
  const type = take(from, 1).readInt8()
  const data = take(from, size)
  if (type !== TIMESTAMP) return { type, data: Buffer.from(data) }
  if (size === 4) return new Date(data.readUInt32BE() * 1000)
  if (size === 8) {
    const word = data.readBigUInt64BE()
    return new Date(Number(word & 0x3ffffffffn) * 1000 + Number(word >> 34n) / 1e6)
  }
  if (size === 12) return new Date(Number(data.readBigInt64BE(4)) * 1000 + data.readUInt32BE() / 1e6)
  throw damaged('a time of unknown form')
}

/** @type {(from: Reader, bytes: number) => number} */
function number (from, bytes) {
  return take(from, bytes).readUIntBE(0, bytes)
}

/** @type {(from: Reader, size: number) => Buffer} */
function take (from, size) {
  const end = from.at + size
  if (end > from.bytes.length) throw damaged('shorter than it says')
  const part = from.bytes.subarray(from.at, end)
  from.at = end
  return part
}

/** @param {bigint} value */
function small (value) {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** @param {string} what */
function damaged (what) {
  return new ERR_QUEUE_CODEC(`MessagePack that is damaged: ${what}`)
}
