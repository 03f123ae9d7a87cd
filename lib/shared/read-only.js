'use strict'

/** Buffers that were opened for reading: the methods that write throw. */

const { ERR_SHARED_READ_ONLY } = require('../errors')

module.exports = { forbidWriting }

/** All methods of Buffer and Uint8Array that change their own bytes; `write…` and `…Write` are found by name. */
const WRITERS = ['copyWithin', 'fill', 'reverse', 'set', 'setFromBase64', 'setFromHex', 'sort', 'swap16', 'swap32', 'swap64']

/** @param {object} prototype */
function forbidWriting (prototype) {
  for (const name of methods(prototype)) {
    if (!WRITERS.includes(name) && !/^write|Write$/.test(name)) continue
    const value = () => {
      throw new ERR_SHARED_READ_ONLY(name)
    }
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true, enumerable: false })
  }
}

/**
 * @param {object} prototype
 * @returns {Set<string>} of the whole chain
 */
function methods (prototype) {
  const names = new Set()
  // The last one is Object's, maybe another realm's.
  for (let at = prototype; Object.getPrototypeOf(at) !== null; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name)
  }
  return names
}
