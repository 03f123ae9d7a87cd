'use strict'

const { list } = require('../shared')

module.exports = { summary: 'list the shared segments of this user (--json for programs)', run }

const UNITS = ['B', 'KiB', 'MiB', 'GiB']

/** @param {string[]} args */
function run (args) {
  const unknown = args.find(arg => arg !== '--json')
  if (unknown !== undefined) {
    process.stderr.write(`interproc ls: there is no option ${unknown}\n`)
    return 1
  }
  const segments = list()
  process.stdout.write(args.includes('--json') ? `${JSON.stringify(segments, null, 2)}\n` : table(segments))
  return 0
}

/** @param {ReturnType<typeof list>} segments */
function table (segments) {
  if (segments.length === 0) return 'There are no shared segments.\n'
  const rows = segments.map(({ name, kind, size, persistent, health, users }) => [
    kind ?? '?', printable(name), bytes(size), persistent ? `${health}, persistent` : health,
    users.map(({ pid, alive }) => alive ? `${pid}` : `${pid} (dead)`).join(' ')
  ])
  const all = [['KIND', 'NAME', 'SIZE', 'STATE', 'PROCESSES'], ...rows]
  const widths = all[0].map((_, column) => Math.max(...all.map(row => row[column].length)))
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
