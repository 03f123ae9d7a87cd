'use strict'

/**
 * MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): what rmp-serde, msgpack-python and others read and write.
 *
 * Integers up to 2^53 are numbers, larger ones bigints; bytes are Buffers; a Date is the timestamp extension, others are read as
 * `{ type, data }`. A Map is written as one, and read as an object if all its keys are strings; a Set is written as an array.
 */

const { decode } = require('./decode')
const { encode } = require('./encode')

module.exports = { encode, decode }
