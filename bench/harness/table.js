'use strict'

const { formatValue, formatRatio, formatTarget } = require('./format')

/** The outcomes as a table for people. `colour`: mark what is met green and what is missed red. */
function table (outcomes, { colour = false } = {}) {
  const lines = [
    ['', 'ours', 'peer', '', 'ours / peer', 'target', ''],
    ...outcomes.map(outcome => [
      outcome.id,
      outcome.error ? 'failed' : formatValue(outcome.ours, outcome.unit),
      outcome.error ? '' : formatValue(outcome.peer, outcome.unit),
      outcome.peerName,
      outcome.error ? '' : formatRatio(outcome.ratio),
      formatTarget(outcome),
      outcome.met ? 'met' : 'missed'
    ])
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)))
  const text = lines.map(line => line.map((cell, column) => pad(cell, widths[column], column)).join('  ').trimEnd())
  text.splice(1, 0, '─'.repeat(Math.max(...text.map(line => line.length))))
  return text.map(line => colour ? paint(line) : line).join('\n')
}

function pad (cell, width, column) {
  return [1, 2, 4].includes(column) ? cell.padStart(width) : cell.padEnd(width)
}

function paint (line) {
  return line.replace(/met$/, '\x1b[32m$&\x1b[0m').replace(/missed$/, '\x1b[31m$&\x1b[0m')
}

module.exports = { table }
