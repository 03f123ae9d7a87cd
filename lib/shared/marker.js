'use strict'

/** How a shared buffer looks inside a message: a ticket that says what it is. */

module.exports = { marker, ticketOf }

const KEY = '$interproc'
const KIND = 'SharedBuffer'
/** Longer than any ticket, short enough not to look at large messages. */
const LONGEST = 256

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
