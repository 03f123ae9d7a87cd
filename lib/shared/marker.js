'use strict'

/** How a shared buffer looks inside a message: a ticket that says what it is. */

module.exports = { marker, ticketOf, markerBytes, ticketOfBytes }

const KEY = '$interproc'
const KIND = 'SharedBuffer'
/** Longer than any ticket, short enough not to look at large messages. */
const LONGEST = 256
/** Before the ticket where only bytes can go. No text begins so. */
const MAGIC = Buffer.from('\0\xffinterproc:SharedBuffer\0', 'latin1')

/** @param {string} ticket */
function marker (ticket) {
  return { [KEY]: KIND, ticket }
}

/**
 * @param {any} value
 * @returns {string | undefined} the ticket, if it is a marker
 */
function ticketOf (value) {
  if (typeof value !== 'object' || value === null || value[KEY] !== KIND) return undefined
  const { ticket } = value
  // Only tickets: a name in a message would let its sender open whatever it can guess.
  return typeof ticket === 'string' && ticket.length < LONGEST && ticket.startsWith('interproc:') ? ticket : undefined
}

/**
 * @param {string} ticket
 * @returns {Buffer}
 */
function markerBytes (ticket) {
  return Buffer.concat([MAGIC, Buffer.from(ticket, 'latin1')])
}

/**
 * @param {ArrayBufferView} view
 * @returns {string | undefined}
 */
function ticketOfBytes (view) {
  const { buffer, byteOffset, byteLength } = view
  if (byteLength <= MAGIC.length || byteLength > MAGIC.length + LONGEST) return undefined
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  return MAGIC.equals(bytes.subarray(0, MAGIC.length)) ? bytes.toString('latin1', MAGIC.length) : undefined
}
