'use strict'

/** The structured clone of a message, with the errors that the Web has for it. */

const v8 = require('node:v8')
const { revive, withTickets } = require('../shared/passing')
const { CUSTOM } = require('../queue/codec')

/** @type {import('../queue/codec').Codec} Shared buffers arrive as the same memory. */
const CLONE = { tag: CUSTOM, encode: clone, decode: cloned }

module.exports = { CLONE }

class Serializer extends v8.DefaultSerializer {}

// Called with and without `new`, so no method.
Object.defineProperty(Serializer.prototype, '_getDataCloneError', {
  /** @param {string} message */
  value: function DataCloneError (message) { return new DOMException(message, 'DataCloneError') }
})

class Deserializer extends v8.DefaultDeserializer {
  /** Bytes of their own, and no Buffer: so the Web has it. Node's are views of the whole message. */
  _readHostObject () {
    const view = Reflect.apply(/** @type {any} */ (v8.DefaultDeserializer.prototype)._readHostObject, this, [])
    const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
    return Buffer.isBuffer(view) ? new Uint8Array(bytes) : new view.constructor(bytes)
  }
}

/**
 * @param {any} value
 * @returns {Uint8Array}
 */
function clone (value) {
  const serializer = new Serializer()
  serializer.writeHeader()
  serializer.writeValue(withTickets(value))
  return serializer.releaseBuffer()
}

/**
 * @param {Buffer} bytes
 * @returns {any}
 */
function cloned (bytes) {
  const deserializer = new Deserializer(bytes)
  deserializer.readHeader()
  return revive(deserializer.readValue())
}
