'use strict'

/** How values become the bodies of messages. Bytes and strings travel as they are, whatever the codec. */

const v8 = require('node:v8')
const { bytesOf } = require('./bytes')
const msgpack = require('./msgpack')
const { ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_QUEUE_CODEC } = require('../errors')

/** What a body is, in a message's tag. The numbers are part of the layout (docs/queue-layout.md). */
const BYTES = 0
const TEXT = 1
const JSON_VALUE = 2
const V8_VALUE = 3
const MSGPACK_VALUE = 4
const CUSTOM_VALUE = 5
/** Added to the others: the body is in a file of its own. */
const PART = 0x80

module.exports = { codecOf, codecNumbered, decode, BYTES, TEXT, CUSTOM: CUSTOM_VALUE, PART }

/**
 * @typedef {object} Codec
 * @property {number} tag
 * @property {(value: any) => Uint8Array | string} encode
 * @property {(bytes: Buffer) => any} decode the bytes are the caller's own copy
 */

/** @type {Record<string, Codec>} */
const CODECS = {
  json: { tag: JSON_VALUE, encode: toJson, decode: bytes => JSON.parse(bytes.toString('utf8')) },
  v8: { tag: V8_VALUE, encode: value => v8.serialize(value), decode: bytes => v8.deserialize(bytes) },
  msgpack: { tag: MSGPACK_VALUE, encode: msgpack.encode, decode: msgpack.decode }
}

/**
 * The codec of an option: a name, or `{ encode, decode }`.
 * @param {unknown} option
 * @returns {Codec}
 */
function codecOf (option) {
  if (typeof option === 'string') {
    if (Object.hasOwn(CODECS, option)) return CODECS[option]
    throw new ERR_INVALID_ARG_VALUE('options.codec', option, "must be one of: 'json', 'v8', 'msgpack', or { encode, decode }")
  }
  const { encode, decode } = /** @type {any} */ (option ?? {})
  if (typeof encode !== 'function' || typeof decode !== 'function') {
    throw new ERR_INVALID_ARG_TYPE('options.codec', ['string', 'Object with the functions encode and decode'], option)
  }
  return { tag: CUSTOM_VALUE, encode: value => encodedBy(encode, value), decode }
}

/**
 * The codec that a queue's creator chose, for openers that name none.
 * @param {number} number
 * @returns {Codec}
 */
function codecNumbered (number) {
  return Object.values(CODECS).find(({ tag }) => tag === number) ?? {
    tag: CUSTOM_VALUE,
    encode () { throw new ERR_QUEUE_CODEC('a codec of its own; open it with the option codec: { encode, decode }') },
    decode () { throw new ERR_QUEUE_CODEC('a codec of its own; open it with the option codec: { encode, decode }') }
  }
}

/**
 * A body as the value that was sent.
 * @param {number} tag
 * @param {Buffer} bytes a copy of our own: nobody changes it meanwhile
 * @param {Codec} own the queue's codec
 */
function decode (tag, bytes, own) {
  switch (tag) {
    case BYTES: return bytes
    case TEXT: return bytes.toString('utf8')
    case JSON_VALUE: return CODECS.json.decode(bytes)
    case V8_VALUE: return CODECS.v8.decode(bytes)
    case MSGPACK_VALUE: return msgpack.decode(bytes)
    case CUSTOM_VALUE: return own.decode(bytes)
    default: throw new ERR_QUEUE_CODEC(`something this version does not know (tag ${tag})`)
  }
}

/** @param {unknown} value */
function toJson (value) {
  const text = JSON.stringify(value)
  if (text === undefined) throw new ERR_INVALID_ARG_VALUE('value', value, 'has no JSON; another codec (v8) may take it')
  return text
}

/**
 * @param {(value: any) => any} encode
 * @param {any} value
 */
function encodedBy (encode, value) {
  const bytes = encode(value)
  if (typeof bytes === 'string' || bytes instanceof Uint8Array) return bytes
  if (ArrayBuffer.isView(bytes)) return bytesOf(bytes)
  throw new ERR_INVALID_ARG_TYPE('result of codec.encode', ['string', 'Buffer', 'TypedArray', 'DataView'], bytes)
}
