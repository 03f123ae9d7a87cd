'use strict'

const { parseArgs } = require('node:util')
const { list } = require('../shared')
const { bytes, printable, table } = require('./table')
const { Usage } = require('./usage')

module.exports = { summary: 'watch the shared segments of this user (--interval SECONDS, --count N)', run }

const CLEAR = '\x1b[H\x1b[2J'

/** @param {string[]} args */
async function run (args) {
  const options = read(args)
  if (typeof options === 'string') {
    process.stderr.write(`interproc top: ${options}\n`)
    return 1
  }
  const usage = new Usage()
  /** @type {Map<string, { at: number, sent: number, received: number }>} */
  let before = new Map()
  for (let round = 1; ; round++) {
    const now = new Map()
    const text = table(['KIND', 'NAME', 'SIZE', 'HOLDS', 'SENT/s', 'RECEIVED/s', 'PROCESSES'], list().map(info => {
      const { kind, name, size, fileName } = info
      const used = usage.of(info)
      // Who looks is a user meanwhile, and not what anyone looks for.
      const users = info.users.filter(({ pid }) => pid !== process.pid)
      const point = used?.sent === undefined ? undefined : { at: performance.now(), sent: used.sent, received: used.received ?? 0 }
      if (point !== undefined) now.set(fileName, point)
      const alive = users.filter(user => user.alive).length
      return [
        kind ?? '?', printable(name), bytes(size), used?.holds ?? '-', ...rates(before.get(fileName), point),
        alive === users.length ? `${alive}` : `${alive}, ${users.length - alive} dead`
      ]
    }))
    before = now
    process.stdout.write(`${process.stdout.isTTY ? CLEAR : ''}${text}${process.stdout.isTTY ? '' : '\n'}`)
    if (round === options.count) break
    await new Promise(resolve => setTimeout(resolve, options.interval * 1000))
  }
  usage.close()
  return 0
}

/**
 * Messages per second between two looks; a handle that was closed meanwhile takes its numbers along.
 * @param {{ at: number, sent: number, received: number } | undefined} before
 * @param {{ at: number, sent: number, received: number } | undefined} now
 */
function rates (before, now) {
  if (before === undefined || now === undefined) return ['-', '-']
  const seconds = (now.at - before.at) / 1000
  return [now.sent - before.sent, now.received - before.received].map(count => count < 0 ? '-' : `${Math.round(count / seconds)}`)
}

/**
 * @param {string[]} args
 * @returns {{ interval: number, count: number } | string} or what is wrong
 */
function read (args) {
  try {
    const { values } = parseArgs({ args, options: { interval: { type: 'string', default: '1' }, count: { type: 'string', default: 'Infinity' } } })
    const interval = Number(values.interval)
    const count = Number(values.count)
    if (!(interval > 0 && interval < 86_400)) return `--interval must be a number of seconds, not ${values.interval}`
    if (!(count >= 1)) return `--count must be a number from 1 on, not ${values.count}`
    return { interval, count: Math.floor(count) }
  } catch (error) {
    return /** @type {Error} */ (error).message
  }
}
