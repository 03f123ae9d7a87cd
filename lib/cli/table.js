'use strict'

/** Text for terminals. */

module.exports = { table, printable, bytes }

const UNITS = ['B', 'KiB', 'MiB', 'GiB']

/**
 * @param {string[]} head
 * @param {string[][]} rows
 */
function table (head, rows) {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column].length)))
  return all.map(row => `${row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd()}\n`).join('')
}

/** @param {string | null} name whoever gave it must not write control characters to our terminal */
function printable (name) {
  return name === null ? '-' : name.replace(/\p{C}/gu, '?')
}

/** @param {number} size */
function bytes (size) {
  const unit = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), UNITS.length - 1)
  return `${Number((size / 1024 ** unit).toFixed(1))} ${UNITS[unit]}`
}
