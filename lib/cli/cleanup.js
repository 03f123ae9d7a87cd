'use strict'

const { cleanup } = require('../shared')

module.exports = { summary: 'remove the shared segments that killed processes left', run }

/** @param {string[]} args */
function run ([unknown]) {
  if (unknown !== undefined) {
    process.stderr.write(`interproc cleanup: there is no option ${unknown}\n`)
    return 1
  }
  const removed = cleanup()
  const bytes = removed.reduce((sum, { total }) => sum + total, 0)
  process.stdout.write(`Removed ${removed.length} segment${removed.length === 1 ? '' : 's'}, ${bytes} bytes.\n`)
  return 0
}
