'use strict'

/** Large messages, which arrive in the file that their sender wrote. */

const { decodeFromCopies, guardDecoders } = require('../shared/text')

/**
 * Bytes from which on a message is not copied. Below that a copy costs less than what V8 does to learn that the memory of another is
 * not needed any more: a full collection.
 */
const BY_REFERENCE = 8 * 1024 * 1024

/**
 * A Buffer, the receiver's alone by agreement. Should its sender write to it all the same, text is wrong and nothing worse: it is
 * decoded from a copy.
 */
class LargeBuffer extends Buffer {
  /**
   * @param {number} [start]
   * @param {number} [end]
   * @override
   */
  subarray (start, end) { return over(super.subarray(start, end)) }

  /**
   * @param {number} [start]
   * @param {number} [end]
   * @override
   */
  slice (start, end) { return over(super.subarray(start, end)) }
}

decodeFromCopies(/** @type {any} */ (LargeBuffer.prototype))
Object.defineProperty(LargeBuffer.prototype, 'constructor', { value: Buffer, configurable: true, writable: true, enumerable: false })

/**
 * @param {ArrayBuffer} memory
 * @returns {Buffer}
 */
function bufferOver (memory) {
  if (memory.byteLength < BY_REFERENCE) return Buffer.from(memory)
  guardDecoders(memory)
  return over(new Uint8Array(memory))
}

/**
 * @param {Uint8Array} bytes
 * @returns {any} a Buffer
 */
function over ({ buffer, byteOffset, byteLength }) {
  return Reflect.construct(Uint8Array, [buffer, byteOffset, byteLength], LargeBuffer)
}

module.exports = { bufferOver, BY_REFERENCE, over }
