'use strict'

const { median } = require('../programs/meter')
const { measure } = require('./measure')
const { resolveModule } = require('./modules')

/**
 * What one row came to.
 *
 * @typedef {object} Outcome
 * @property {string} id
 * @property {string} title
 * @property {string} unit
 * @property {string} [error] Why there are no values
 * @property {number} ours Median
 * @property {number} peer Median
 * @property {string} peerName
 * @property {number} ratio ours / peer
 * @property {boolean} higherIsBetter
 * @property {number} [target]
 * @property {number} [limit]
 * @property {boolean} [met] Undefined where nothing is to be reached
 * @property {[number, number]} oursRange Smallest and largest of the rounds
 * @property {[number, number]} peerRange
 * @property {[number, number]} oursQuartiles Half of the rounds are between these
 * @property {[number, number]} peerQuartiles
 */

/**
 * Measures a row: ours, peer, ours, peer …, so that a busy hour of the machine meets both.
 *
 * @param {import('../rows').Row} row
 * @param {{ rounds: number, seconds: number, gigabytes: number, self: boolean }} options
 * @param {(step: string) => void} onStep Called before each measurement
 * @returns {Promise<Outcome>}
 */
async function runRow (row, options, onStep) {
  const { id, title, unit, higherIsBetter, target, limit, peer: { name: peerName } } = row
  const known = { id, title, unit, peerName, higherIsBetter, target, limit }
  try {
    const { ours, peer } = await runRounds(row, options, onStep)
    const values = { ours: median(ours), peer: median(peer), ratio: median(ours) / median(peer) }
    return { ...known, ...values, met: isMet({ ...known, ...values }), ...describeRounds('ours', ours), ...describeRounds('peer', peer) }
  } catch (error) {
    return { ...known, error: error.message, met: false }
  }
}

async function runRounds (row, options, onStep) {
  const values = { ours: [], peer: [] }
  for (let round = 1; round <= options.rounds; round++) {
    for (const side of ['ours', 'peer']) {
      onStep(`${row[side].name} ${round}/${options.rounds}`)
      values[side].push(await runSide(options.self ? row.peer : row[side], options))
    }
  }
  return values
}

async function runSide ({ module, programs, args, meters, times = 1 }, { seconds, gigabytes }) {
  const side = {
    module: resolveModule(module),
    programs,
    meters,
    args: { seconds, warmUp: seconds / 2, ...args, ...(args.gigabytes && { bytes: Math.round(gigabytes * 1e9) }) }
  }
  const values = []
  while (values.length < times) values.push(await measure(side))
  return median(values)
}

function isMet ({ ours, ratio, higherIsBetter, target, limit }) {
  if (limit !== undefined) return ours < limit
  if (target === undefined) return undefined
  const shown = Number(ratio.toPrecision(3)) // as the table prints it: more digits are noise
  return higherIsBetter ? shown >= target : shown <= target
}

/** The extremes, and between what the middle half of the rounds lies: it says what the median is worth. */
function describeRounds (side, values) {
  const sorted = [...values].sort((a, b) => a - b)
  const quarter = sorted.length >> 2
  return { [`${side}Range`]: [sorted[0], sorted.at(-1)], [`${side}Quartiles`]: [sorted[quarter], sorted.at(-1 - quarter)] }
}

module.exports = { runRow }
