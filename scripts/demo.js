#!/usr/bin/env node
'use strict'

/**
 * `npm run demo`: the jobs of the package by its examples, as real processes; then the speed of each beside Node's own way.
 */

const { runRow } = require('../bench/harness/run')
const { formatGain, formatValue } = require('../bench/harness/format')
const measured = require('../bench/rows/demo')
const { examples, runExample } = require('./examples')
const { setup } = require('./setup')

const { stdout } = process
const colours = { bold: 1, dim: 2, green: 32, cyan: 36 }
const style = (colour, text) => stdout.isTTY && !process.env.NO_COLOR ? `\x1b[${colours[colour]}m${text}\x1b[0m` : text
const WIDTHS = [15, 31, 12, 14, 7]

main().catch(error => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})

async function main () {
  await setup({ release: true })
  stdout.write(`\n${style('bold', 'Jobs, each with processes of its own')}\n`)
  for (const example of examples) await show(example)

  const lines = []
  for (const example of examples) {
    const row = measured[example.name]
    status(`measuring: ${row.title}`)
    const outcome = await runRow(row, { rounds: 3, seconds: 0.15 }, () => {})
    status('')
    if (outcome.error !== undefined) throw new Error(`${row.title}: ${outcome.error}`)
    lines.push(...tableRow(example, outcome))
  }
  stdout.write(`\n${style('bold', cells(['Job', 'What was shown', 'interproc', 'Node\'s way', 'gain']))}\n`)
  stdout.write(`${style('dim', '─'.repeat(WIDTHS.reduce((sum, width) => sum + width)))}\n${lines.join('\n')}\n\n`)
  stdout.write('Messages per second (of the map: hits), a short look; npm run bench measures with care.\n')
  stdout.write('The programs are in examples/: node examples/shared-buffer/parent.js\n')
}

/** @param {import('./examples').Example} example */
async function show (example) {
  stdout.write(`\n${style('cyan', example.job)} ${style('dim', `examples/${example.name}`)}\n`)
  const width = Math.max(...example.programs.map(program => program.length))
  await runExample(example, {
    onLine: (program, line) => stdout.write(`  ${style('dim', program.padEnd(width))}  ${line === example.shows ? style('green', line) : line}\n`)
  })
}

/**
 * As many lines as its longest cell needs.
 *
 * @param {import('./examples').Example} example
 * @param {import('../bench/harness/run').Outcome} outcome
 */
function tableRow ({ job, shows }, outcome) {
  const [shown, ...more] = wrap(shows, WIDTHS[1] - 2)
  const speed = value => formatValue(value, outcome.unit).replace(/ (msg|op)/, '')
  return [
    cells([job, shown, speed(outcome.ours), speed(outcome.peer), formatGain(outcome)]),
    cells(['', more.shift() ?? '', '', outcome.peerName]),
    ...more.map(text => cells(['', text]))
  ]
}

/** @param {string[]} texts the first two to the left, figures to the right */
function cells (texts) {
  return texts.map((text, index) => index < 2 ? text.padEnd(WIDTHS[index]) : text.padStart(WIDTHS[index])).join('').trimEnd()
}

/**
 * @param {string} text
 * @param {number} width
 */
function wrap (text, width) {
  const lines = ['']
  for (const word of text.split(' ')) {
    if (`${lines.at(-1)} ${word}`.trim().length <= width) lines.push(`${lines.pop()} ${word}`.trim())
    else lines.push(word)
  }
  return lines
}

/** @param {string} text one line that the next one replaces; nothing where it cannot be replaced */
function status (text) {
  if (stdout.isTTY) stdout.write(`\r${text}\x1b[K`)
}
