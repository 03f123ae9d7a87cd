'use strict'

const { ERR_BUFFER_OUT_OF_BOUNDS, ERR_INVALID_STATE } = require('../errors')
const { guardDecoders } = require('../shared/text')
const { decode } = require('./codec')
const { over } = require('./large')

/** Puts a view over the next message. Set by the class below: only `drain` may. */
/** @type {(view: View, offset: number, length: number, tag: number) => void} */
let place

/**
 * A message in place, in the queue's own memory: nothing is copied, nothing allocated. Valid during the callback of `drain`
 * only; the same object is used for every message.
 */
class View {
  #data
  #bytes
  #codec
  #isShared
  /** Whether the runtime's decoders know that. */
  #guarded = false
  #offset = 0
  #length = 0
  #tag = -1

  static {
    place = (view, offset, length, tag) => {
      view.#offset = offset
      view.#length = length
      view.#tag = tag
    }
  }

  /**
   * @param {ArrayBuffer} slots
   * @param {import('./codec').Codec} codec
   * @param {boolean} isShared others may write there
   */
  constructor (slots, codec, isShared) {
    this.#isShared = isShared
    this.#data = new DataView(slots)
    this.#bytes = Buffer.from(slots)
    this.#codec = codec
  }

  /** Bytes of the message. */
  get length () { return this.#length }
  get byteLength () { return this.#length }

  /** The message as a Buffer of its own. */
  toBuffer () {
    return Buffer.from(this.#cut(0, this.#length))
  }

  /** The message as the value that was sent. */
  value () {
    return decode(this.#tag, this.toBuffer(), this.#codec)
  }

  /** The message as text. */
  toString () {
    // From a copy: V8 reads UTF-8 twice, and a sender that misbehaves could write between.
    return this.toBuffer().toString('utf8')
  }

  /**
   * Bytes of the message as a Buffer over the queue's memory: other messages will be there after the callback.
   * @param {number} [start]
   * @param {number} [end]
   * @returns {Buffer}
   */
  subarray (start = 0, end = this.#length) {
    const bytes = this.#cut(start, end)
    if (!this.#isShared) return bytes
    if (!this.#guarded) guardDecoders(bytes.buffer)
    this.#guarded = true
    return over(bytes)
  }

  /**
   * Copies the message to `target`.
   * @param {Uint8Array} target
   * @param {number} [targetStart]
   * @returns {number} bytes copied
   */
  copy (target, targetStart = 0) {
    return this.#cut(0, this.#length).copy(target, targetStart)
  }

  /** @param {number} at */
  getUint8 (at) { return this.#data.getUint8(this.#at(at, 1)) }
  /** @param {number} at */
  getInt8 (at) { return this.#data.getInt8(this.#at(at, 1)) }
  /** @type {(at: number, littleEndian?: boolean) => number} */
  getUint16 (at, littleEndian) { return this.#data.getUint16(this.#at(at, 2), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => number} */
  getInt16 (at, littleEndian) { return this.#data.getInt16(this.#at(at, 2), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => number} */
  getUint32 (at, littleEndian) { return this.#data.getUint32(this.#at(at, 4), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => number} */
  getInt32 (at, littleEndian) { return this.#data.getInt32(this.#at(at, 4), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => number} */
  getFloat32 (at, littleEndian) { return this.#data.getFloat32(this.#at(at, 4), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => number} */
  getFloat64 (at, littleEndian) { return this.#data.getFloat64(this.#at(at, 8), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => bigint} */
  getBigUint64 (at, littleEndian) { return this.#data.getBigUint64(this.#at(at, 8), littleEndian) }
  /** @type {(at: number, littleEndian?: boolean) => bigint} */
  getBigInt64 (at, littleEndian) { return this.#data.getBigInt64(this.#at(at, 8), littleEndian) }

  /** @type {(start: number, end: number) => Buffer<ArrayBuffer>} */
  #cut (start, end) {
    if (this.#tag < 0) throw new ERR_INVALID_STATE('The view is valid during the callback of drain() only')
    if (!(start >= 0 && end <= this.#length && start <= end)) throw new ERR_BUFFER_OUT_OF_BOUNDS()
    return this.#bytes.subarray(this.#offset + start, this.#offset + end)
  }

  /** @type {(at: number, bytes: number) => number} */
  #at (at, bytes) {
    if (!(at >= 0 && at + bytes <= this.#length)) throw new ERR_BUFFER_OUT_OF_BOUNDS()
    return this.#offset + at
  }
}

/**
 * Shows a message that has memory of its own.
 * @param {ArrayBuffer} memory
 * @param {number} tag
 * @param {import('./codec').Codec} codec
 * @param {boolean} isShared others may write there
 * @param {(view: View) => void} each
 */
function show (memory, tag, codec, isShared, each) {
  const view = new View(memory, codec, isShared)
  place(view, 0, memory.byteLength, tag)
  try {
    each(view)
  } finally {
    place(view, 0, 0, -1)
  }
}

module.exports = { View, place, show }
