'use strict'

const { formatGain, formatValue } = require('./format')

const titles = {
  zmq: 'ZeroMQ',
  net: 'TCP and Unix sockets',
  dgram: 'UDP',
  process: 'Child processes',
  shared: 'Shared memory',
  queue: 'Queues in shared memory',
  topic: 'Topics in shared memory',
  map: 'Maps and counters in shared memory',
  locks: 'Locks between processes',
  load: 'The package itself'
}

const WIDTH = 840
const MARGIN = 28
const BARS = 170 // where bars begin: the names stand before them
const LONGEST = 420
const BAR = 20
const HEAD = 78
const ROW = 96
const FOOT = 40

// A card with its own ground, so that it reads on a light page and on a dark one.
const style = `
    .card { fill: #ffffff; stroke: #d8dee4 }
    text { font-family: ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #1f2328 }
    .title { font-size: 20px; font-weight: 600 }
    .what { font-size: 14px; font-weight: 600 }
    .quiet { font-size: 12px; fill: #656d76 }
    .name, .value { font-size: 13px }
    .name { text-anchor: end }
    .gain { font-size: 26px; font-weight: 700; text-anchor: end; fill: #0a7d5a }
    .gain.level { font-size: 18px; fill: #656d76 }
    .note { font-size: 12px; text-anchor: end; fill: #656d76 }
    .ours { fill: #12a37a }
    .peer { fill: #a9b4c0 }
    .middle { stroke: #1f2328; stroke-opacity: .45; stroke-width: 1.5 }
    .rule { stroke: #d8dee4 }
    @media (prefers-color-scheme: dark) {
      .card { fill: #0d1117; stroke: #30363d }
      text { fill: #e6edf3 }
      .quiet, .note, .gain.level { fill: #8d96a0 }
      .gain { fill: #3fcf9f }
      .ours { fill: #1fb389 }
      .peer { fill: #59636e }
      .middle { stroke: #e6edf3 }
      .rule { stroke: #30363d }
    }`

/**
 * One family of rows as a picture: each row two bars of its own scale, with the gain beside them.
 *
 * @param {string} family
 * @param {(import('./run').Outcome & { date: string, machine: { cpu: string, cores: number, node: string } })[]} rows
 * @returns {string} SVG
 */
function chart (family, rows) {
  const height = HEAD + rows.length * ROW + FOOT
  const { date, machine } = rows.reduce((newest, row) => row.date > newest.date ? row : newest)
  const title = titles[family]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(summary(title, rows))}">
  <style>${style}
  </style>
  <rect class="card" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="12"/>
  <text class="title" x="${MARGIN}" y="42">${escape(title)}</text>
  <text class="quiet" x="${MARGIN}" y="62">Medians of both sides measured in turn; the thin line spans the middle half of the rounds.</text>
${rows.map((row, index) => drawRow(row, HEAD + index * ROW)).join('\n')}
  <text class="quiet" x="${MARGIN}" y="${height - 16}">${escape(`${date.slice(0, 10)}, Node ${machine.node}, ${machine.cores} cores of ${machine.cpu}`)}</text>
</svg>
`
}

function drawRow (row, top) {
  const longest = Math.max(row.oursQuartiles[1], row.peerQuartiles[1])
  const scale = LONGEST / longest
  const gain = gainOf(row)
  return `  <line class="rule" x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${top}" y2="${top}"/>
  <text class="what" x="${MARGIN}" y="${top + 26}">${escape(row.title)}</text>
${drawBar('ours', 'interproc', row.ours, row.oursQuartiles, row.unit, scale, top + 40)}
${drawBar('peer', row.peerName, row.peer, row.peerQuartiles, row.unit, scale, top + 40 + BAR + 4)}
  <text class="gain${gain.level ? ' level' : ''}" x="${WIDTH - MARGIN}" y="${top + 64}">${gain.text}</text>
  <text class="note" x="${WIDTH - MARGIN}" y="${top + 82}">${row.higherIsBetter ? 'longer is better' : 'shorter is better'}</text>`
}

function drawBar (side, name, value, [least, most], unit, scale, y) {
  const width = Math.max(2, value * scale)
  const end = Math.max(width, most * scale)
  const middle = y + BAR / 2
  return `  <text class="name" x="${BARS - 10}" y="${middle + 4.5}">${escape(name)}</text>
  <rect class="${side}" x="${BARS}" y="${y}" width="${round(width)}" height="${BAR}" rx="3"/>
  <line class="middle" x1="${round(BARS + least * scale)}" x2="${round(BARS + most * scale)}" y1="${middle}" y2="${middle}"/>
  <text class="value" x="${round(BARS + end + 8)}" y="${middle + 4.5}">${escape(formatValue(value, unit))}</text>`
}

function gainOf (row) {
  const gain = row.higherIsBetter ? row.ratio : 1 / row.ratio
  if (gain > 0.95 && gain < 1.05) return { text: 'equal', level: true }
  return { text: formatGain(row), level: gain < 1 }
}

/** What a reader of the page hears who does not see the picture. */
function summary (title, rows) {
  const lines = rows.map(row => `${row.title}: interproc ${formatValue(row.ours, row.unit)}, ${row.peerName} ${formatValue(row.peer, row.unit)}`)
  return `${title}. ${lines.join('. ')}.`
}

function round (number) { return Math.round(number * 10) / 10 }

function escape (text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

module.exports = { chart }
