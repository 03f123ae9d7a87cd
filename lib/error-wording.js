'use strict'

/** How the errors of lib/errors.js are made and worded. Nothing else uses this file. */

const { format, inspect } = require('node:util')

module.exports = { nodeError, text, describe, oneOf }

const TYPES = new Set(['string', 'function', 'number', 'object', 'Function', 'Object', 'boolean', 'bigint', 'symbol'])

/**
 * Makes the constructor of one error code.
 * @template {any[]} A
 * @param {string} code
 * @param {new (message: string) => Error} Base Error, TypeError or RangeError; the error is one of these, not of a subclass
 * @param {(...args: A) => string} message
 * @param {(...args: A) => object} [properties] further properties of the error
 * @returns {{ new (...args: A): Error & { code: string } }}
 */
function nodeError (code, Base, message, properties) {
  /** @param {A} args */
  function NodeError (...args) {
    const error = new Base(message(...args))
    const { name } = error
    // The stack's first line is written when the stack is first read: it shall name the code, which `name` does not.
    Object.defineProperty(error, 'name', { value: `${name} [${code}]`, configurable: true, enumerable: false, writable: true })
    Error.captureStackTrace(error, NodeError)
    void error.stack
    Reflect.deleteProperty(error, 'name')
    const toString = () => `${error.name} [${code}]: ${error.message}`
    Object.defineProperty(error, 'toString', { value: toString, configurable: true, enumerable: false, writable: true })
    return Object.assign(error, properties?.(...args), { code })
  }
  return /** @type {any} */ (NodeError)
}

/**
 * The constructor of a code whose message is a fixed text; each `%s` in it takes one parameter.
 * @param {string} code
 * @param {new (message: string) => Error} Base
 * @param {string} message
 * @returns {{ new (...args: unknown[]): Error & { code: string } }}
 */
function text (code, Base, message) {
  return nodeError(code, Base, /** @type {(...args: unknown[]) => string} */ ((...args) => format(message, ...args)))
}

/**
 * `one of type string or an instance of Buffer`: types, classes and other words, in Node's order and grammar.
 * @param {string | string[]} expected
 */
function oneOf (expected) {
  const all = [expected].flat()
  const types = all.filter(one => TYPES.has(one)).map(one => one.toLowerCase())
  const classes = all.filter(one => !TYPES.has(one) && /^([A-Z][a-z0-9]*)+$/.test(one))
  const others = all.filter(one => !TYPES.has(one) && !classes.includes(one))
  if (classes.length > 0 && types.includes('object')) {
    types.splice(types.indexOf('object'), 1)
    classes.push('Object')
  }
  const parts = []
  if (types.length > 0) parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${list(types)}`)
  if (classes.length > 0) parts.push(`an instance of ${list(classes)}`)
  if (others.length > 1) parts.push(`one of ${list(others)}`)
  else if (others.length === 1) parts.push(`${others[0].toLowerCase() === others[0] ? '' : 'an '}${others[0]}`)
  return parts.join(' or ')
}

/** @param {string[]} words */
function list (words) {
  return words.length < 3 ? words.join(' or ') : `${words.slice(0, -1).join(', ')}, or ${words.at(-1)}`
}

/**
 * `type string ('abc')`, `an instance of Foo`, `undefined`.
 * @param {any} value
 */
function describe (value) {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return `function ${value.name}`
  if (typeof value === 'object') {
    const name = value.constructor?.name
    return name === undefined ? inspect(value, { depth: -1 }) : `an instance of ${name}`
  }
  if (typeof value === 'string') {
    const shown = value.length > 28 ? `${value.slice(0, 25)}...` : value
    return `type string (${shown.includes("'") ? JSON.stringify(shown) : `'${shown}'`})`
  }
  return `type ${typeof value} (${typeof value === 'bigint' ? `${value}n` : Object.is(value, -0) ? '-0' : String(value)})`
}
