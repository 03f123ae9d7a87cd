'use strict'

const { list } = require('../shared')
const { bytes, printable, table } = require('./table')
const { Usage } = require('./usage')

module.exports = { summary: 'list the shared segments of this user (--json for programs)', run }

/** @param {string[]} args */
function run (args) {
  const unknown = args.find(arg => arg !== '--json')
  if (unknown !== undefined) {
    process.stderr.write(`interproc ls: there is no option ${unknown}\n`)
    return 1
  }
  const usage = new Usage()
  const segments = list().map(info => ({ ...info, usage: usage.of(info) }))
  usage.close()
  process.stdout.write(args.includes('--json') ? `${JSON.stringify(segments, null, 2)}\n` : show(segments))
  return 0
}

/** @param {(ReturnType<typeof list>[number] & { usage: import('./usage').Used | null })[]} segments */
function show (segments) {
  if (segments.length === 0) return 'There are no shared segments.\n'
  return table(['KIND', 'NAME', 'SIZE', 'HOLDS', 'STATE', 'PROCESSES'], segments.map(({ name, kind, size, persistent, health, users, usage }) => [
    kind ?? '?', printable(name), bytes(size), usage?.holds ?? '-', persistent ? `${health}, persistent` : health,
    users.map(({ pid, alive }) => alive ? `${pid}` : `${pid} (dead)`).join(' ')
  ]))
}
