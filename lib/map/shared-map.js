'use strict'

/** A Map that all processes of a user share. */

const native = require('../native')
const { ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_INVALID_STATE, ERR_NOT_SUPPORTED, ERR_OUT_OF_RANGE } = require('../errors')
const { segmentError, validatePlace } = require('../shared/errors')
const { validateBoolean, validateFunction, validateInteger, validateNumber, validateObject } = require('../validate')
const { Desk } = require('./desk')
const { Seen } = require('./seen')
const { decode, encode } = require('./value')

const { isWellFormed } = /** @type {any} */ (String.prototype)
const DEFAULT_CAPACITY = 16 * 2 ** 20
const MIN_CAPACITY = 1024
const MAX_CAPACITY = 64 * 2 ** 30
/** How often an update begins anew when others change the entry between. */
const UPDATE_TRIES = 10_000
/** In place of a version or a ttl: whatever is there; the map's. */
const ANY = -1
/** In place of a version: there is no entry. */
const NONE = 0

/** @typedef {{ ttl?: number }} SetOptions */

class SharedMap {
  #handle
  #desk
  #seen

  /**
   * Opens the map of that name, or creates it; without a name, a new one.
   * @param {any} [first] name, ticket or options
   * @param {any} [second] options; they hold for a new map
   */
  constructor (first, second) {
    const options = typeof first === 'object' && first !== null ? first : second
    const place = options === first ? options?.name : first
    if (place !== undefined) validatePlace(place, 'name')
    const { capacity, ttl, evict, persistent } = validOptions(options ?? {})
    if (native.MapHandle === undefined) {
      throw new ERR_NOT_SUPPORTED('SharedMap', 'it needs file locks that end with their process (OFD locks)')
    }
    try {
      this.#handle = new native.MapHandle(place, capacity, ttl, evict, persistent)
    } catch (error) {
      throw segmentError(error, 'open', place, capacity)
    }
    this.#desk = new Desk(this.#handle)
    this.#seen = new Seen(this.#handle)
  }

  /**
   * @param {string} key
   * @returns {any} `undefined`: there is none. What is given is the caller's own
   */
  get (key) {
    const seen = this.#seen.get(key)
    if (seen !== undefined) return seen
    validateKey(key)
    const stored = this.#desk.get(key)
    const value = decode(stored)
    if (stored !== undefined) this.#seen.keep(key, stored, value, this.#desk)
    return value
  }

  /** @param {string} key */
  has (key) {
    validateKey(key)
    return this.#desk.has(key)
  }

  /**
   * @param {string} key
   * @param {any} value bytes, or what JSON can say; what JSON makes `{}` of (a Map, a Set, an Error, a promise) is refused
   * @param {SetOptions} [options] `ttl` in milliseconds; 0: without an end
   */
  set (key, value, options) {
    validateKey(key)
    this.#desk.put(key, encode(value), validTtl(options), ANY)
    return this
  }

  /**
   * @param {string} key
   * @param {any} value
   * @param {SetOptions} [options]
   * @returns {boolean} `false`: there is one already, it stays
   */
  setIfAbsent (key, value, options) {
    validateKey(key)
    return this.#desk.put(key, encode(value), validTtl(options), NONE)
  }

  /**
   * Replaces the value by what `change` makes of it, atomically: nobody else's change is lost. `change` is called again if someone
   * else was faster. `undefined` removes the entry.
   * @param {string} key
   * @param {(value: any) => any} change
   * @param {SetOptions} [options]
   * @returns {any} the new value
   */
  update (key, change, options) {
    validateKey(key)
    validateFunction(change, 'change')
    const ttl = validTtl(options)
    for (let tries = 0; tries < UPDATE_TRIES; tries++) {
      const stored = this.#desk.get(key)
      const version = stored === undefined ? NONE : this.#desk.version
      const value = change(decode(stored))
      if (value === undefined) {
        if (version === NONE || this.#desk.delete(key, version)) return undefined
      } else if (this.#desk.put(key, encode(value), ttl, version)) {
        return value
      }
    }
    throw new ERR_INVALID_STATE(`the entry '${key}' changes faster than it can be updated`)
  }

  /**
   * Adds to a number, 0 where there is none.
   * @param {string} key
   * @param {number} [by]
   * @param {SetOptions} [options] the `ttl` is a new entry's; one that is there keeps its end
   * @returns {number} the sum
   */
  increment (key, by = 1, options) {
    validateKey(key)
    validateNumber(by, 'by')
    return this.#desk.increment(key, by, validTtl(options))
  }

  /** @param {string} key */
  delete (key) {
    validateKey(key)
    return this.#desk.delete(key, ANY)
  }

  clear () {
    this.#call(() => this.#handle.clear())
  }

  get size () { return this.#call(() => this.#handle.size) }
  /** Bytes for entries, with what they need beside. */
  get capacity () { return this.#call(() => this.#handle.capacity) }
  get name () { return this.#call(() => this.#handle.name) }
  /** What opens exactly this map elsewhere: `new SharedMap(ticket)`. */
  get ticket () { return this.#call(() => this.#handle.ticket) }

  /** The keys of now, in the order of their coming. */
  keys () {
    return this.#call(() => this.#handle.keys()).values()
  }

  /** The entries whose keys are there now; what is removed meanwhile is left out, what changes has its new value. */
  entries () {
    return this.#found(this.keys(), (key, value) => /** @type {[string, any]} */ ([key, value]))
  }

  values () {
    return this.#found(this.keys(), (_, value) => value)
  }

  [Symbol.iterator] () { return this.entries() }

  /**
   * @param {(value: any, key: string, map: SharedMap) => void} visit
   * @param {any} [that]
   */
  forEach (visit, that) {
    validateFunction(visit, 'callback')
    for (const [key, value] of this) visit.call(that, value, key, this)
  }

  /** Lets the map go in this thread. Everything else throws from then on. */
  close () {
    this.#seen.close()
    this.#handle.close()
  }

  [Symbol.dispose] () { this.close() }
  get [Symbol.toStringTag] () { return 'SharedMap' }

  /**
   * Of those keys that are there still when it comes to them.
   * @template T
   * @param {Iterable<string>} keys
   * @param {(key: string, value: any) => T} give
   */
  * #found (keys, give) {
    for (const key of keys) {
      const value = this.get(key)
      if (value !== undefined) yield give(key, value)
    }
  }

  /**
   * @template T
   * @param {() => T} action
   * @returns {T}
   */
  #call (action) {
    try {
      return action()
    } catch (error) {
      const { code } = /** @type {{ code?: string }} */ (error)
      if (code === 'CLOSED') throw new ERR_INVALID_STATE('the shared map is closed')
      throw error
    }
  }
}

/** @param {unknown} key */
function validateKey (key) {
  if (typeof key !== 'string') throw new ERR_INVALID_ARG_TYPE('key', 'string', key)
  // Two of them could be the same key in UTF-8.
  if (isWellFormed.call(key) === false) throw new ERR_INVALID_ARG_VALUE('key', key, 'must be well-formed Unicode')
}

/** @param {SetOptions | undefined} options */
function validTtl (options) {
  if (options === undefined) return ANY
  validateObject(options, 'options')
  if (options.ttl === undefined) return ANY
  validateInteger(options.ttl, 'options.ttl', 0)
  return options.ttl
}

/** @param {any} options */
function validOptions (options) {
  validateObject(options, 'options')
  const { capacity = DEFAULT_CAPACITY, ttl = 0, evict = true, persistent = false } = options
  validateInteger(capacity, 'options.capacity')
  if (capacity < MIN_CAPACITY || capacity > MAX_CAPACITY) {
    throw new ERR_OUT_OF_RANGE('options.capacity', `>= ${MIN_CAPACITY} && <= ${MAX_CAPACITY}`, capacity)
  }
  validateInteger(ttl, 'options.ttl', 0)
  validateBoolean(evict, 'options.evict')
  validateBoolean(persistent, 'options.persistent')
  return { capacity, ttl, evict, persistent }
}

module.exports = { SharedMap }
