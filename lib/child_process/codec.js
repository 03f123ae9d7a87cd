'use strict'

/**
 * The two wires of fork's channel, as Node speaks them. Pure: bytes in, messages out.
 *
 * - `json`: `JSON.stringify(message)` and a line feed.
 * - `advanced`: the length as a big-endian uint32, then the message in the structured-clone format of `node:v8`, where an
 *   object that V8 does not know is a tag (0: a typed array follows, 1: its own properties follow).
 */

const { constants: { MAX_STRING_LENGTH } } = require('node:buffer')
const v8 = require('node:v8')
const { withTickets } = require('../shared/passing')
const { ERR_IPC_BAD_MESSAGE } = require('../errors')

/** The longest message that is received, in bytes: what a string can hold. Memory grows with what came, not with what was announced. */
const LONGEST = MAX_STRING_LENGTH
const LINE_FEED = 10
const HEADER = 4

/** @typedef {{ encode (message: any): Uint8Array, decoder (): Decoder }} Codec */
/** @typedef {{ push (chunk: Buffer): Iterable<any>, readonly partial: boolean }} Decoder `chunk` is only borrowed */

/** @type {Record<'json' | 'advanced', Codec>} */
const codecs = {
  json: { encode: message => Buffer.from(`${JSON.stringify(message)}\n`), decoder: () => new Lines() },
  advanced: { encode: encodeAdvanced, decoder: () => new Lengths() }
}

/** Bytes of a message that has not come whole. */
class Rest {
  /** @type {Buffer[]} */
  #parts = []
  length = 0

  /** @param {Buffer} bytes */
  keep (bytes) {
    if (bytes.length === 0) return
    if (this.length + bytes.length > LONGEST) throw new ERR_IPC_BAD_MESSAGE(`longer than ${LONGEST} bytes`)
    this.#parts.push(Buffer.from(bytes))
    this.length += bytes.length
  }

  /**
   * What was kept, with `bytes` behind it; nothing is kept any more.
   * @param {Buffer} bytes
   */
  join (bytes) {
    if (this.length === 0) return bytes
    const all = Buffer.concat([...this.#parts, bytes])
    this.#parts = []
    this.length = 0
    return all
  }
}

class Lines {
  #rest = new Rest()

  get partial () { return this.#rest.length > 0 }

  /** @param {Buffer} chunk */
  * push (chunk) {
    const end = chunk.lastIndexOf(LINE_FEED)
    if (end < 0) return this.#rest.keep(chunk)
    const lines = this.#rest.join(chunk.subarray(0, end)).toString()
    this.#rest.keep(chunk.subarray(end + 1))
    for (const line of lines.split('\n')) yield parse(line)
  }
}

class Lengths {
  #rest = new Rest()
  /** How many bytes are needed before anything can be done. */
  #needed = HEADER

  get partial () { return this.#rest.length > 0 }

  /** @param {Buffer} chunk */
  * push (chunk) {
    if (this.#rest.length + chunk.length < this.#needed) return this.#rest.keep(chunk)
    let bytes = this.#rest.join(chunk)
    this.#needed = HEADER
    while (bytes.length >= HEADER) {
      const size = HEADER + bytes.readUInt32BE(0)
      if (size > LONGEST) throw new ERR_IPC_BAD_MESSAGE(`longer than ${LONGEST} bytes`)
      if (bytes.length < size) {
        this.#needed = size
        break
      }
      const message = bytes.subarray(HEADER, size)
      bytes = bytes.subarray(size)
      yield decodeAdvanced(message)
    }
    this.#rest.keep(bytes)
  }
}

/** @param {string} line */
function parse (line) {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new ERR_IPC_BAD_MESSAGE('not JSON', error)
  }
}

const VIEW = 0
const PLAIN = 1

class ChildProcessSerializer extends v8.DefaultSerializer {
  /** @param {any} object */
  _writeHostObject (object) {
    if (ArrayBuffer.isView(object)) {
      this.writeUint32(VIEW)
      // @ts-ignore Node's own, not in its types
      return super._writeHostObject(object)
    }
    this.writeUint32(PLAIN)
    this.writeValue({ ...object })
  }
}

class Deserializer extends v8.DefaultDeserializer {
  _readHostObject () {
    const tag = this.readUint32()
    // @ts-ignore Node's own, not in its types
    if (tag === VIEW) return super._readHostObject()
    if (tag === PLAIN) return this.readValue()
    throw new ERR_IPC_BAD_MESSAGE(`an object with the unknown tag ${tag}`)
  }
}

/** @param {any} message */
function encodeAdvanced (message) {
  const serializer = new ChildProcessSerializer()
  serializer.writeRawBytes(Buffer.alloc(HEADER))
  serializer.writeHeader()
  serializer.writeValue(withTickets(message))
  const bytes = serializer.releaseBuffer()
  bytes.writeUInt32BE(bytes.length - HEADER, 0)
  return bytes
}

/** @param {Buffer} bytes */
function decodeAdvanced (bytes) {
  try {
    // A copy of its own: typed arrays in the message become views of it, and `bytes` is only borrowed.
    const deserializer = new Deserializer(Buffer.from(bytes))
    deserializer.readHeader()
    return deserializer.readValue()
  } catch (error) {
    throw /** @type {any} */ (error).code === 'ERR_IPC_BAD_MESSAGE' ? error : new ERR_IPC_BAD_MESSAGE('not in the structured-clone format', error)
  }
}

module.exports = { codecs, LONGEST }
