'use strict'

/** The bytes of values that have some. What was detached (`transfer()`, `postMessage`) looks empty, and is an error here. */

const { ERR_INVALID_STATE } = require('../errors')

module.exports = { bytesOf, validateMemory }

/** Throws for views of memory that is gone. */
const { at } = Uint8Array.prototype

/**
 * @param {ArrayBufferView | ArrayBuffer | SharedArrayBuffer} value
 * @returns {Buffer}
 */
function bytesOf (value) {
  let bytes
  try {
    bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(/** @type {ArrayBuffer} */ (value))
  } catch {
    throw detached()
  }
  if (bytes.length === 0 && value instanceof Uint8Array) validateMemory(value)
  return bytes
}

/**
 * An empty message is not what was meant by bytes that another thread has now.
 * @param {Uint8Array} bytes of length 0
 */
function validateMemory (bytes) {
  try {
    at.call(bytes, 0)
  } catch {
    throw detached()
  }
}

function detached () { return new ERR_INVALID_STATE('the buffer was detached before it was sent') }
