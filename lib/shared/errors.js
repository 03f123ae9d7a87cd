'use strict'

const {
  ERR_INVALID_ARG_VALUE, ERR_NOT_SUPPORTED, ERR_OUT_OF_RANGE, ERR_SHARED_DAMAGED, ERR_SHARED_FULL, ERR_SHARED_KIND,
  ERR_SHARED_LAYOUT, errnoOf, fromNative, uvException
} = require('../errors')

module.exports = { segmentError, validatePlace }

const { validateString } = require('../validate')

/** What each system error means here, and what to do. */
/** @type {Record<string, string>} */
const MEANINGS = {
  EEXIST: 'a shared segment of that name is there already; open it, or close it everywhere first',
  ENOENT: 'no such shared segment: the name is wrong, or its last user has left',
  EACCES: 'the shared segment belongs to another user',
  EBUSY: 'another process is creating or removing the shared segment and does not go on (stopped?)'
}

/**
 * A failed native call as the error that users see.
 * @param {any} error
 * @param {'alloc' | 'open' | 'list' | 'remove'} syscall
 * @param {string} [place] name or ticket
 * @param {number} [size]
 * @returns {Error}
 */
function segmentError (error, syscall, place, size) {
  const what = place === undefined ? 'without a name' : `'${place}'`
  const { code, message } = error
  if (MEANINGS[code] !== undefined) return uvException({ errno: errnoOf(code), syscall, message: MEANINGS[code], path: place })
  if (typeof code === 'string' && code.startsWith('ERRNO ')) {
    return uvException({ errno: Number(code.slice(6)), syscall, message, path: place })
  }
  switch (code) {
    case 'ENOSPC':
      return uvException({
        errno: errnoOf(code),
        syscall,
        message: `${message}; see df /dev/shm (Docker gives 64 MB unless --shm-size says more)`,
        path: place
      })
    case 'INVALID_NAME': return new ERR_INVALID_ARG_VALUE('name', place, `is not a valid name: ${message}`)
    case 'INVALID_SIZE': return new ERR_OUT_OF_RANGE('size', 'within the address space', size)
    case 'NOT_A_SEGMENT':
    case 'TRUNCATED':
    case 'CORRUPT': return new ERR_SHARED_DAMAGED(what, message)
    case 'LAYOUT_MISMATCH': return new ERR_SHARED_LAYOUT(what, message)
    case 'KIND_MISMATCH': return new ERR_SHARED_KIND(what, message)
    case 'FULL': return new ERR_SHARED_FULL(what, message)
    case 'NO_EXTERNAL_BUFFERS': return new ERR_NOT_SUPPORTED('SharedBuffer', message)
    default: return fromNative(error)
  }
}

/**
 * A name or ticket is a string; its other rules are native code's to check. Half a surrogate pair would become U+FFFD on the way there, and
 * so one name with others.
 * @param {any} place
 * @param {string} argument
 */
function validatePlace (place, argument) {
  validateString(place, argument)
  if (/\p{Cs}/u.test(place)) throw new ERR_INVALID_ARG_VALUE(argument, place, 'is not a valid name: it has half a surrogate pair')
}
