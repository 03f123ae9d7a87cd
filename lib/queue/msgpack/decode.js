'use strict'

/** MessagePack as values. The bytes are anybody's: they are an error at worst, and a declared length allocates nothing. */

const { ERR_QUEUE_CODEC } = require('../../errors')
const { DEPTH, TIMESTAMP } = require('./constants')

module.exports = { decode }

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
  const date = new Date(milliseconds(data))
  if (Number.isNaN(date.getTime())) throw damaged('a time that is none')
  return date
}

/** @param {Buffer} data a timestamp in one of its three forms; NaN if it is of no form */
function milliseconds (data) {
  switch (data.length) {
    case 4: return data.readUInt32BE() * 1000
    case 8: {
      const word = data.readBigUInt64BE()
      return time(Number(word & 0x3ffffffffn), Number(word >> 34n))
    }
    case 12: return time(Number(data.readBigInt64BE(4)), data.readUInt32BE())
    default: return NaN
  }
}

/** @type {(seconds: number, nanoseconds: number) => number} */
function time (seconds, nanoseconds) {
  return nanoseconds < 1e9 ? seconds * 1000 + Math.floor(nanoseconds / 1e6) : NaN
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
