'use strict'

/**
 * Messages that say who sent them, which of his they are, and how long; the rest is a pattern of their own.
 * As in tests/soak-victim/src/body.rs.
 */

/** producer, number, length, 0: 32 bits each */
const HEAD = 16

module.exports = { make, lengthOf, read }

/**
 * @param {number} producer
 * @param {number} number
 * @param {number} length
 */
function make (producer, number, length) {
  const pattern = Buffer.allocUnsafe(8)
  pattern.writeUInt32LE((Math.imul(producer, 0x9e3779b1) ^ number) >>> 0, 0)
  pattern.writeUInt32LE((Math.imul(number, 0x85ebca6b) ^ producer) >>> 0, 4)
  const bytes = Buffer.alloc(length, pattern)
  bytes.writeUInt32LE(producer, 0)
  bytes.writeUInt32LE(number, 4)
  bytes.writeUInt32LE(length, 8)
  bytes.writeUInt32LE(0, 12)
  return bytes
}

/** Mostly small, sometimes of several slots, rarely beside the ring. */
function lengthOf () {
  const random = Math.random()
  return HEAD + Math.floor(random < 0.9 ? random * 100 : random < 0.9995 ? Math.random() * 2000 : 70_000)
}

/**
 * Whose it is, and which; `undefined`: not one byte like it was sent.
 * @param {Uint8Array} bytes
 */
function read (bytes) {
  if (bytes.length < HEAD) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const producer = view.getUint32(0, true)
  const number = view.getUint32(4, true)
  return view.getUint32(8, true) === bytes.length && make(producer, number, bytes.length).equals(bytes) ? { producer, number } : undefined
}
