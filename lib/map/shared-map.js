'use strict'

/** A Map that all processes of a user share. */

const native = require('../native')
const { ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE, ERR_NOT_SUPPORTED, ERR_OUT_OF_RANGE } = require('../errors')
const { segmentError } = require('../shared/errors')
const { Seen } = require('./seen')
const { validateBoolean, validateFunction, validateInteger, validateNumber, validateObject, validateString } = require('../validate')

/** What a plain string begins with in the store; JSON never does. */
const PLAIN = '\x01'
const DEFAULT_CAPACITY = 16 * 2 ** 20
const MIN_CAPACITY = 1024
const MAX_CAPACITY = 64 * 2 ** 30
/** How often an update begins anew when others change the entry between. */
const UPDATE_TRIES = 10_000

/** @typedef {{ ttl?: number }} SetOptions */

class SharedMap {
  #handle
  #seen

  /**
   * Opens the map of that name, or creates it; without a name, a new one.
   * @param {any} [first] name, ticket or options
   * @param {any} [second] options; they hold for a new map
   */
  constructor (first, second) {
    const options = typeof first === 'object' && first !== null ? first : second
    const place = options === first ? options?.name : first
    if (place !== undefined) validateString(place, 'name')
    const { capacity, ttl, evict, persistent } = validOptions(options ?? {})
    if (native.MapHandle === undefined) {
      throw new ERR_NOT_SUPPORTED('SharedMap', 'it needs file locks that end with their process (OFD locks)')
    }
    try {
      this.#handle = new native.MapHandle(place, capacity, ttl, evict, persistent)
    } catch (error) {
      throw segmentError(error, 'open', place, capacity)
    }
    this.#seen = new Seen(this.#handle)
  }

  /**
   * @param {string} key
   * @returns {any} `undefined`: there is none
   */
  get (key) {
    return decode(this.#seen.get(key) ?? this.#call(() => this.#seen.look(validKey(key))))
  }

  /** @param {string} key */
  has (key) {
    return this.#call(() => this.#handle.has(validKey(key)))
  }

  /**
   * @param {string} key
   * @param {any} value bytes, or what JSON can say
   * @param {SetOptions} [options] `ttl` in milliseconds; 0: without an end
   */
  set (key, value, options) {
    this.#put(key, value, validTtl(options), undefined)
    return this
  }

  /**
   * @param {string} key
   * @param {any} value
   * @param {SetOptions} [options]
   * @returns {boolean} `false`: there is one already, it stays
   */
  setIfAbsent (key, value, options) {
    return this.#put(key, value, validTtl(options), -1)
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
    validateFunction(change, 'change')
    const ttl = validTtl(options)
    for (let tries = 0; tries < UPDATE_TRIES; tries++) {
      const found = this.#call(() => this.#handle.getVersion(validKey(key)))
      const value = change(found === null ? undefined : decode(found.value))
      if (value === undefined) {
        if (found === null || this.#call(() => this.#handle.deleteVersion(key, found.version))) return undefined
      } else if (this.#put(key, value, ttl, found === null ? 0 : found.version)) {
        return value
      }
    }
    throw new ERR_INVALID_STATE(`the entry '${key}' changes faster than it can be updated`)
  }

  /**
   * Adds to a number, 0 where there is none.
   * @param {string} key
   * @param {number} [by]
   * @param {SetOptions} [options] the `ttl` counts from now
   * @returns {number} the sum
   */
  increment (key, by = 1, options) {
    validateNumber(by, 'by')
    const ttl = validTtl(options)
    const sum = this.#call(() => this.#handle.increment(validKey(key), by, ttl))
    if (sum === null) throw new ERR_INVALID_STATE(`the value of '${key}' is not a number`)
    return sum
  }

  /** @param {string} key */
  delete (key) {
    return this.#call(() => this.#handle.delete(validKey(key)))
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
  * keys () {
    yield* this.#call(() => this.#handle.keys())
  }

  /** The entries whose keys are there now; what is removed meanwhile is left out, what changes has its new value. */
  * entries () {
    for (const key of this.keys()) {
      const value = this.get(key)
      if (value !== undefined) yield /** @type {[string, any]} */ ([key, value])
    }
  }

  * values () {
    for (const [, value] of this.entries()) yield value
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
   * @param {string} key
   * @param {any} value
   * @param {number | undefined} ttl
   * @param {number | undefined} version
   */
  #put (key, value, ttl, version) {
    validKey(key)
    return this.#call(() => {
      if (typeof value === 'number' && Number.isFinite(value)) return this.#handle.setNumber(key, value, ttl, version)
      if (ArrayBuffer.isView(value)) {
        return this.#handle.setBytes(key, new Uint8Array(value.buffer, value.byteOffset, value.byteLength), ttl, version)
      }
      return this.#handle.setText(key, encode(value), ttl, version)
    })
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
      if (code === 'MAP_FULL') throw new ERR_INVALID_STATE('the shared map has no room for the entry: give it more capacity, or let it evict')
      throw error
    }
  }
}

/** @param {string | number | Buffer | undefined} stored */
function decode (stored) {
  if (typeof stored !== 'string') return stored
  return stored.charCodeAt(0) === 1 ? stored.slice(1) : JSON.parse(stored)
}

/** @param {unknown} value */
function encode (value) {
  // A string that is no proper Unicode would not come back; JSON escapes what is not.
  if (typeof value === 'string' && /** @type {any} */ (value).isWellFormed()) return PLAIN + value
  const json = JSON.stringify(value)
  if (json === undefined) throw new ERR_INVALID_ARG_TYPE('value', ['bytes', 'what JSON can say'], value)
  return json
}

/** @param {unknown} key */
function validKey (key) {
  if (typeof key !== 'string') throw new ERR_INVALID_ARG_TYPE('key', 'string', key)
  return key
}

/** @param {SetOptions | undefined} options */
function validTtl (options) {
  if (options === undefined) return undefined
  validateObject(options, 'options')
  if (options.ttl === undefined) return undefined
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
