'use strict'

const { availableParallelism, cpus, loadavg, release } = require('node:os')
const { families } = require('./rows')
const { readOptions, usage } = require('./harness/options')
const { prepareAddon, preparePeers } = require('./harness/modules')
const { Progress } = require('./harness/progress')
const { runRow } = require('./harness/run')
const { formatValue, formatRatio, formatTarget } = require('./harness/format')
const { table } = require('./harness/table')
const { keep } = require('./harness/results')

async function main () {
  const options = readOptions(process.argv.slice(2))
  if (options.help) return console.log(usage)
  const rows = Object.values(families).flat().filter(({ id }) => options.only.test(id))
  if (rows.length === 0) throw new TypeError(`No row's id contains ${options.only.source}; --list shows them.`)
  if (options.list) return console.log(rows.map(listed).join('\n'))

  if (!options.self) await prepareAddon(options)
  preparePeers(rows.flatMap(({ ours, peer }) => [ours.module, peer.module]))
  const outcomes = await runRows(rows, options)
  const judged = outcomes.filter(({ met }) => met !== undefined)
  console.log(`\n${table(outcomes, { colour: process.stdout.isTTY })}\n`)
  console.log(`${judged.filter(({ met }) => met).length} of ${judged.length} met. Medians of ${options.rounds} rounds, both sides in turn.`)
  if (busy()) console.log(`The machine was busy (${loadavg()[0].toFixed(1)} processes on ${availableParallelism()} cores): look at the ±.`)
  for (const file of keep(report(outcomes, options), options.json)) console.log(file)
  if (outcomes.some(({ error }) => error !== undefined)) process.exitCode = 1
}

/** More ran here than the two programs of a row. */
function busy () { return loadavg()[0] > Math.max(2, availableParallelism()) * 1.2 }

function listed (row) {
  return [row.id.padEnd(28), row.peer.name.padEnd(18), formatTarget(row).padEnd(9), row.title].join('  ')
}

async function runRows (rows, options) {
  const progress = new Progress(rows.length * options.rounds * 2)
  const outcomes = []
  for (const [index, row] of rows.entries()) {
    const outcome = await runRow(row, options, step => progress.step(`${row.id}  ${step}`))
    progress.row(oneLine(outcome), (index + 1) * options.rounds * 2)
    outcomes.push(outcome)
  }
  progress.end()
  return outcomes
}

function oneLine ({ id, ours, peer, peerName, unit, ratio, error }) {
  if (error !== undefined) return `${id}: ${error}`
  return `${id}: ${formatValue(ours, unit)}, ${peerName} ${formatValue(peer, unit)}, ${formatRatio(ratio)}`
}

/** What --json holds. */
function report (outcomes, { rounds, seconds, self }) {
  return {
    date: new Date().toISOString(),
    machine: { cpu: cpus()[0].model, cores: availableParallelism(), os: `${process.platform} ${release()}`, node: process.versions.node },
    rounds,
    seconds,
    self,
    rows: outcomes
  }
}

main().catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
