'use strict'

/**
 * The long check: `npm run soak` kills (SIGKILL) and stops (SIGSTOP) the users of queues, locks and the rest at random, until it
 * killed 10,000 of them and 10,000,000 messages went through queues. `npm run soak -- MINUTES [PART...]` goes by time instead.
 *
 * A part is a file of scripts/soak/. `soak(seconds, counts)` works for that long, counts up `counts` meanwhile (for the line of
 * progress), and resolves to its counts and `failures`, a list of texts. Counts that parts have in common: kills, stops, messages,
 * lost, corrupt, stalls. Parts take turns. Exit code 1 if anything failed; the last line is `N passed, M failed`, of turns.
 */

const fs = require('node:fs')
const path = require('node:path')
const { setup } = require('./setup')
const { buildVictim } = require('./soak/support/rust')

const KILLS = 10_000
const MESSAGES = 10_000_000
/** Seconds that a part works at once. */
const TURN = 40
const LINE_MS = process.stdout.isTTY ? 1000 : 30_000
const COMMON = ['kills', 'stops', 'messages', 'lost', 'corrupt', 'stalls']
/** Columns of the table at the end: of `turns`, so many `failed`. */
const COLUMNS = [...COMMON, 'turns', 'failed']
const folder = path.join(__dirname, 'soak')
const known = fs.readdirSync(folder).filter(file => file.endsWith('.js')).map(file => path.basename(file, '.js'))
const [minutes, ...wanted] = process.argv.slice(2)
const parts = wanted.length > 0 ? wanted : known

if ((minutes !== undefined && !(Number(minutes) > 0)) || parts.some(part => !known.includes(part))) {
  console.error(`Usage: npm run soak [-- MINUTES [PART...]], parts: ${known.join(', ')}`)
  process.exit(1)
}
main()

async function main () {
  // Of the same sources, both: an addon of another day may not know the words of today's victims.
  await setup()
  buildVictim()
  const began = Date.now()
  const sums = Object.fromEntries(parts.map(part => [part, { turns: 0, failed: 0, seconds: 0 }]))
  const failures = []
  const total = what => Object.values(sums).reduce((sum, counts) => sum + (counts[what] ?? 0), 0)
  const enough = () => minutes === undefined
    ? total('kills') >= KILLS && total('messages') >= MESSAGES
    : left() < 3
  const left = () => Number(minutes ?? Infinity) * 60 - (Date.now() - began) / 1000
  for (let turn = 0; !enough(); turn++) {
    const part = parts[turn % parts.length]
    const sum = sums[part]
    const live = {}
    const line = setInterval(() => tell(began, part, what => total(what) + (live[what] ?? 0)), LINE_MS)
    const start = Date.now()
    const { failures: failed, ...counts } = await require(path.join(folder, `${part}.js`)).soak(Math.min(TURN, left(), Number(minutes ?? Infinity) * 60 / parts.length), live)
    clearInterval(line)
    sum.turns++
    sum.seconds += (Date.now() - start) / 1000
    if (failed.length > 0) sum.failed++
    for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count
    for (const failure of failed) {
      console.log(`\n${clock(began)} ${part}: ${failure}`)
      failures.push(`${part}: ${failure}`)
    }
    // What is broken so often is to be looked at first.
    if (failures.length >= 40) break
  }
  close(began, sums, failures, total)
}

function tell (began, part, of) {
  const text = `${clock(began)}  ${COMMON.map(what => `${number(of(what))} ${what}`).join('  ')}  (${part})`
  process.stdout.write(process.stdout.isTTY ? `\r${text}\u001b[K` : `${text}\n`)
}

function close (began, sums, failures, total) {
  const rows = Object.entries(sums).map(([part, counts]) => [part, ...COLUMNS.map(what => counts[what]), others(counts)])
  rows.push(['together', ...COLUMNS.map(total), ''])
  const cells = [['', ...COLUMNS, ''], ...rows.map(row => row.map(cell => typeof cell === 'number' ? number(cell) : cell ?? '–'))]
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map(row => row[column + 1].length)))
  console.log(`\n\nAfter ${clock(began)}:\n`)
  for (const [first, ...rest] of cells) {
    console.log(`${first.padEnd(10)}${widths.map((width, column) => rest[column].padStart(width + 2)).join('')}  ${rest.at(-1)}`.trimEnd())
  }
  if (failures.length > 0) console.log(`\n${failures.slice(0, 40).join('\n')}`)
  console.log(`\n${total('turns') - total('failed')} passed, ${total('failed')} failed`)
  if (total('failed') > 0) process.exitCode = 1
}

/** What only one part counts. */
function others (counts) {
  const own = Object.entries(counts).filter(([what]) => ![...COLUMNS, 'seconds'].includes(what))
  return own.map(([what, count]) => `${number(count)} ${what}`).join(', ')
}

function clock (began) {
  const seconds = Math.floor((Date.now() - began) / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

function number (count) { return count.toLocaleString('en-US') }
