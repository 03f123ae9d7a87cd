'use strict'

const { formatValue, formatSpread, formatRatio, formatTarget } = require('./format')

/** The outcomes as a table for people. `colour`: mark what is met green and what is missed red. */
function table (outcomes, { colour = false } = {}) {
  const lines = [
    ['', 'ours', '', 'peer', '', '', 'ours / peer', 'target', ''],
    ...outcomes.map(outcome => outcome.error === undefined ? measured(outcome) : failed(outcome))
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)))
  const text = lines.map(line => line.map((cell, column) => pad(cell, widths[column], column)).join('  ').trimEnd())
  text.splice(1, 0, '─'.repeat(Math.max(...text.map(line => line.length))))
  return text.map(line => colour ? paint(line) : line).join('\n')
}

function measured (outcome) {
  const { id, unit, ours, oursQuartiles, peer, peerQuartiles, peerName, ratio, met } = outcome
  return [
    id,
    formatValue(ours, unit), formatSpread(ours, oursQuartiles),
    formatValue(peer, unit), formatSpread(peer, peerQuartiles), peerName,
    formatRatio(ratio), formatTarget(outcome), met === undefined ? '' : met ? 'met' : 'missed'
  ]
}

function failed (outcome) {
  return [outcome.id, '', '', '', '', outcome.peerName, '', formatTarget(outcome), 'failed']
}

function pad (cell, width, column) {
  return [1, 2, 3, 4, 6].includes(column) ? cell.padStart(width) : cell.padEnd(width)
}

function paint (line) {
  return line.replace(/met$/, '\x1b[32m$&\x1b[0m').replace(/(missed|failed)$/, '\x1b[31m$&\x1b[0m')
}

module.exports = { table }
