'use strict'

/** Copies of a value that JSON.parse made: ten times as fast as to parse its text again. */

/**
 * The value, which nobody else has, and where there are values inside that must be copied, too.
 * @typedef {{ value: any, inner: [string | number, Template][] }} Template
 */

/**
 * @param {any} value an object or array of JSON.parse
 * @returns {Template}
 */
function templateOf (value) {
  /** @type {[string | number, Template][]} */
  const inner = []
  for (const key of Object.keys(value)) {
    const member = value[key]
    if (typeof member === 'object' && member !== null) inner.push([Array.isArray(value) ? Number(key) : key, templateOf(member)])
  }
  return { value, inner }
}

/**
 * @param {Template} template
 * @returns {any} the same value as JSON.parse would make once more
 */
function copyOf ({ value, inner }) {
  const copy = Array.isArray(value) ? value.slice() : { ...value }
  // A member named `__proto__` is one of the copy's own by now: this sets it, not the prototype.
  for (let i = 0; i < inner.length; i++) copy[inner[i][0]] = copyOf(inner[i][1])
  return copy
}

module.exports = { copyOf, templateOf }
