'use strict'

/**
 * Text out of memory that another process may be writing.
 *
 * V8 reads UTF-8 twice, once to measure and once to copy: if the bytes change between, it writes beyond the string and the
 * process ends with SIGSEGV (tried on Node 20 to 26). So text is decoded from a copy, always.
 */

const nodeBuffer = require('node:buffer')
const { syncBuiltinESMExports } = require('node:module')
const { StringDecoder } = require('node:string_decoder')

module.exports = { decodeFromCopies, guardDecoders }

/** On a guarded method: the ArrayBuffers that it copies. Shared by all copies of this module in the process. */
const kShared = Symbol.for('interproc.shared')

/** What `buffer.toString` and the rest of Node call, by encoding. Undocumented. */
const SLICES = ['asciiSlice', 'base64Slice', 'base64urlSlice', 'hexSlice', 'latin1Slice', 'ucs2Slice', 'utf8Slice']

/**
 * Gives a prototype of buffers text methods that copy first.
 * @param {Buffer} prototype
 */
function decodeFromCopies (prototype) {
  /** @type {(this: Buffer, encoding?: BufferEncoding, start?: number, end?: number) => string} */
  function toString (encoding, start, end) {
    return copyOf(this, start, end).toString(encoding)
  }
  define(prototype, 'toString', toString)
  define(prototype, 'toLocaleString', toString)
  for (const name of SLICES) {
    /** @type {(this: Buffer, start?: number, end?: number) => string} */
    const slice = function (start, end) {
      const copy = /** @type {any} */ (copyOf(this, start, end))
      return copy[name](0, copy.length)
    }
    define(prototype, name, slice)
  }
}

/**
 * Makes `TextDecoder`, `StringDecoder` (so also `stream.setEncoding`) and `buffer.transcode` copy this memory before they decode it. They
 * are the runtime's own; what is not shared passes through them as before.
 * @param {ArrayBuffer} memory
 */
function guardDecoders (memory) {
  guard(TextDecoder.prototype, 'decode').add(memory)
  // Bun's `end` does not call `write`.
  for (const name of ['write', 'end']) guard(/** @type {any} */ (StringDecoder).prototype, name).add(memory)
  // It, too, measures first and converts then. A Node without ICU has none.
  if (typeof nodeBuffer.transcode !== 'function') return
  const known = nodeBuffer.transcode
  guard(nodeBuffer, 'transcode').add(memory)
  if (nodeBuffer.transcode !== known) syncBuiltinESMExports()
}

/**
 * @param {any} prototype
 * @param {string} name of a method whose first argument is bytes
 * @returns {WeakSet<ArrayBufferLike>}
 */
function guard (prototype, name) {
  const original = prototype[name]
  if (original[kShared] !== undefined) return original[kShared]
  /** @type {WeakSet<ArrayBufferLike>} */
  const shared = new WeakSet()
  /** @type {(this: any, ...args: any[]) => any} */
  function guarded (...args) {
    args[0] = owned(args[0], shared)
    return Reflect.apply(original, this, args)
  }
  const { value, ...rest } = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(prototype, name))
  Object.defineProperty(guarded, 'name', { value: name, configurable: true })
  Object.defineProperty(guarded, 'length', { value: value.length, configurable: true })
  Object.defineProperty(guarded, kShared, { value: shared })
  Object.defineProperty(prototype, name, { ...rest, value: guarded })
  return shared
}

/**
 * @param {any} input
 * @param {WeakSet<ArrayBufferLike>} shared
 */
function owned (input, shared) {
  if (ArrayBuffer.isView(input)) {
    return shared.has(input.buffer) ? copyOf(new Uint8Array(input.buffer, input.byteOffset, input.byteLength)) : input
  }
  return typeof input === 'object' && input !== null && shared.has(input) ? copyOf(new Uint8Array(input)) : input
}

/**
 * The bytes from `start` to `end`, in memory that nobody else has. The range is cut as `buffer.toString` cuts it.
 * @param {Uint8Array} bytes
 * @param {any} [start]
 * @param {any} [end]
 * @returns {Buffer}
 */
function copyOf (bytes, start = 0, end = bytes.length) {
  const from = Math.min(Math.max(Math.trunc(start) || 0, 0), bytes.length)
  const to = Math.max(Math.min(Math.trunc(end) || 0, bytes.length), from)
  const copy = Buffer.allocUnsafe(to - from)
  if (to === from) return copy
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from))
  return copy
}

/**
 * @param {object} prototype
 * @param {string} name
 * @param {Function} value
 */
function define (prototype, name, value) {
  Object.defineProperty(value, 'name', { value: name })
  Object.defineProperty(prototype, name, { value, configurable: true, writable: true, enumerable: false })
}
