'use strict'

/** The class SharedBuffer. */

const { create, open, close, memoryOf, isShared, wholeBuffer, hold } = require('./memory')
const { decodeFromCopies } = require('./text')
const { marker, ticketOf } = require('./marker')
const { forbidWriting } = require('./read-only')
const { validatePlace } = require('./errors')
const { ERR_ILLEGAL_CONSTRUCTOR, ERR_INVALID_STATE, ERR_OUT_OF_RANGE } = require('../errors')
const { validateBoolean, validateInteger, validateObject } = require('../validate')

const { MAX_LENGTH } = require('node:buffer').constants

/** @typedef {import('./memory').Memory} Memory */
/** @typedef {{ name?: string, persistent?: boolean }} Options */

/**
 * A Buffer whose memory other processes have too.
 *
 * It is a Buffer in every respect; slices are shared as well. Its text methods decode from a copy (see text.js). One JS thread
 * has one SharedBuffer per segment: opening it again gives the same object.
 */
class SharedBuffer extends Buffer {
  /**
   * Not for users; `alloc`, `from` and `open` call it.
   * @param {ArrayBuffer} memory
   * @param {number} [offset]
   * @param {number} [length]
   */
  // @ts-expect-error Buffer is no class that could be called by super.
  constructor (memory, offset, length) {
    if (!isShared(memory)) throw new ERR_ILLEGAL_CONSTRUCTOR()
    return Reflect.construct(Uint8Array, [memory, offset, length], new.target)
  }

  /**
   * Creates shared memory, zeroed.
   * @param {number} size bytes
   * @param {any} [fill] as of `Buffer.alloc`, or the options
   * @param {any} [encoding] of `fill`, or the options
   * @param {Options} [options]
   * @returns {SharedBuffer}
   * @override
   */
  static alloc (size, fill, encoding, options) {
    const [values, chosen] = splitOptions([fill, encoding, options])
    validateInteger(size, 'size', 0, MAX_LENGTH)
    const fills = values[0] !== undefined && values[0] !== 0 && size > 0
    // Throws now what it cannot fill with: nothing is left behind then.
    if (fills) Buffer.alloc(1, values[0], values[1])
    const buffer = bufferOf(create(size, chosen.name, chosen.persistent ?? false))
    return fills ? buffer.fill(values[0], values[1]) : buffer
  }

  /**
   * The same as `alloc`: shared memory is always zeroed.
   * @param {number} size
   * @param {Options} [options]
   * @override
   */
  static allocUnsafe (size, options) {
    return SharedBuffer.alloc(size, options)
  }

  /**
   * @param {number} size
   * @param {Options} [options]
   * @override
   */
  static allocUnsafeSlow (size, options) {
    return SharedBuffer.alloc(size, options)
  }

  /**
   * Creates shared memory and copies into it what `Buffer.from` makes of the arguments before the options.
   * @param {any} value
   * @param {...any} rest
   * @returns {SharedBuffer}
   * @override
   */
  static from (value, ...rest) {
    const [values, chosen] = splitOptions(rest)
    return sharedCopy(Buffer.from(value, ...values), chosen)
  }

  /**
   * @param {...number} bytes
   * @override
   */
  static of (...bytes) {
    return sharedCopy(Buffer.of(...bytes), {})
  }

  /**
   * @param {readonly Uint8Array[]} list
   * @param {any} [totalLength] or the options
   * @param {Options} [options]
   * @override
   */
  static concat (list, totalLength, options) {
    const [values, chosen] = splitOptions([totalLength, options])
    return sharedCopy(Buffer.concat(list, values[0]), chosen)
  }

  /**
   * @param {NodeJS.TypedArray} view
   * @param {number} [offset] in elements
   * @param {number} [length] in elements
   * @override
   */
  static copyBytesFrom (view, offset, length) {
    return sharedCopy(Buffer.copyBytesFrom(view, offset, length), {})
  }

  /**
   * Opens the memory of another process or thread. The same object again if this thread has it open already.
   * @param {unknown} place its name, its ticket, or what `JSON.stringify` made of it
   * @param {{ readOnly?: boolean }} [options] `readOnly`: writing methods throw, and what is written to the bytes in another way is
   *   seen by this thread alone
   * @returns {SharedBuffer}
   */
  static open (place, options = {}) {
    const text = /** @type {string} */ (ticketOf(place) ?? place)
    validatePlace(text, 'place')
    validateObject(options, 'options')
    if (options.readOnly !== undefined) validateBoolean(options.readOnly, 'options.readOnly')
    const [, ticket, offset, length] = /^(interproc:[^#]*)#(\d{1,16})\+(\d{1,16})$/.exec(text) ?? []
    const whole = bufferOf(open(ticket ?? text, options.readOnly ?? false))
    if (ticket === undefined) return whole
    const end = Number(offset) + Number(length)
    if (end > whole.length) throw new ERR_OUT_OF_RANGE('place', `a slice of the ${whole.length} bytes there are`, end)
    return whole.subarray(Number(offset), end)
  }

  /**
   * Whether a value is one of ours.
   * @param {unknown} value
   * @returns {value is SharedBuffer}
   */
  static isSharedBuffer (value) {
    return Buffer.isBuffer(value) && isShared(value.buffer)
  }

  /** What `map` and `filter` make: a plain buffer. */
  static get [Symbol.species] () {
    return /** @type {any} */ (Buffer)[Symbol.species]
  }

  /** The name it was created with, or `null`. */
  get name () {
    return memoryOf(this).name
  }

  /**
   * What `SharedBuffer.open` finds exactly this memory by, in any process or thread of the same user, while someone has it open. A
   * slice's ticket means the slice. Nobody can guess it.
   */
  get ticket () {
    const { closed, ticket, bytes } = memoryOf(this)
    if (closed) throw new ERR_INVALID_STATE('the shared buffer is closed')
    return this.byteLength === bytes.byteLength ? ticket : `${ticket}#${this.byteOffset}+${this.byteLength}`
  }

  /** Whether it stays when its last user leaves. */
  get persistent () {
    return memoryOf(this).persistent
  }

  /** Whether it was opened for reading. */
  get readOnly () {
    return memoryOf(this).readOnly
  }

  /** Whether it was closed. */
  get closed () {
    return memoryOf(this).closed
  }

  /**
   * Lets the memory go in this thread: this buffer, its slices and all typed arrays over it have length 0 from now on. Others keep it.
   * A second time does nothing. What is not closed is let go when it is collected.
   */
  close () {
    close(memoryOf(this))
  }

  /**
   * For `child.send` and other JSON: a marker that arrives as this same memory where interproc is loaded.
   * @returns {any}
   * @override
   */
  toJSON () {
    const { ticket } = this
    hold(memoryOf(this))
    return marker(ticket)
  }

  /**
   * @param {number} [start]
   * @param {number} [end]
   * @override
   */
  subarray (start, end) {
    return viewLike(this, super.subarray(start, end))
  }

  /**
   * @param {number} [start]
   * @param {number} [end]
   * @override
   */
  slice (start, end) {
    return viewLike(this, super.subarray(start, end))
  }
}

/** Made of the class below, with what is added to it at run time. */
/** @type {import('../../types/shared').SharedBufferConstructor} */
const exported = /** @type {any} */ (SharedBuffer)

module.exports = { SharedBuffer: exported }

decodeFromCopies(SharedBuffer.prototype)
if (Symbol.dispose !== undefined) hidden(SharedBuffer.prototype, Symbol.dispose, SharedBuffer.prototype.close)

/** Opened for reading. Nobody sees the difference but by `readOnly` and the errors. */
class ReadOnlySharedBuffer extends SharedBuffer {}
hidden(ReadOnlySharedBuffer.prototype, 'constructor', SharedBuffer)
forbidWriting(ReadOnlySharedBuffer.prototype)

/**
 * @param {Memory} memory
 * @returns {SharedBuffer}
 */
function bufferOf (memory) {
  return wholeBuffer(memory, () => new (memory.readOnly ? ReadOnlySharedBuffer : SharedBuffer)(memory.bytes))
}

/**
 * @param {SharedBuffer} buffer
 * @param {Uint8Array} view of the same memory
 * @returns {SharedBuffer}
 */
function viewLike (buffer, view) {
  const Class = memoryOf(buffer).readOnly ? ReadOnlySharedBuffer : SharedBuffer
  return new Class(/** @type {ArrayBuffer} */ (view.buffer), view.byteOffset, view.byteLength)
}

/**
 * @param {Buffer} bytes
 * @param {Options} options
 */
function sharedCopy (bytes, options) {
  const buffer = SharedBuffer.alloc(bytes.length, options)
  buffer.set(bytes)
  return buffer
}

/**
 * Options stand last, after what the same method of Buffer takes.
 * @param {any[]} args
 * @returns {[any[], Options]}
 */
function splitOptions (args) {
  const at = args.findIndex(arg => typeof arg === 'object' && arg !== null && !ArrayBuffer.isView(arg))
  if (at === -1) return [args, {}]
  const options = args[at]
  if (options.name !== undefined) validatePlace(options.name, 'options.name')
  if (options.persistent !== undefined) validateBoolean(options.persistent, 'options.persistent')
  return [args.slice(0, at), options]
}

/**
 * @param {object} prototype
 * @param {string | symbol} name
 * @param {Function} value
 */
function hidden (prototype, name, value) {
  Object.defineProperty(prototype, name, { value, configurable: true, writable: true, enumerable: false })
}
