'use strict'

const { remove } = require('../shared')

module.exports = { summary: 'remove a shared segment by name (--force: although it is in use)', run }

/** @param {string[]} args */
function run (args) {
  const force = args.includes('--force')
  const names = args.filter(arg => arg !== '--force')
  if (names.length === 0) {
    process.stderr.write('Usage: interproc rm [--force] NAME...\n')
    return 1
  }
  let failed = 0
  for (const name of names) {
    const problem = attempt(name, force)
    if (problem === undefined) continue
    failed = 1
    process.stderr.write(`interproc rm: ${problem}\n`)
  }
  return failed
}

/**
 * @param {string} name
 * @param {boolean} force
 * @returns {string | undefined} what is wrong
 */
function attempt (name, force) {
  try {
    if (remove(name, { force })) return undefined
    if (force) return `'${name}' is in use: those who have locks would not exclude those who come later. It goes with the last of them`
    return `'${name}' is in use (interproc ls shows by whom; --force removes it all the same)`
  } catch (error) {
    return /** @type {Error} */ (error).message
  }
}
