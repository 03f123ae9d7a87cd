'use strict'

/** A list of checks, each one program that must end well; what failed is shown at the end, then one line of counts. */

const { run } = require('./run')

module.exports = { checks }

function checks () {
  let passed = 0
  /** @type {{ title: string, line: string, output: string }[]} */
  const failures = []
  return {
    /**
     * @param {string} title
     * @param {string} command
     * @param {string[]} args
     * @param {Parameters<typeof run>[3]} [options] as those of `run`
     * @returns {Promise<{ ok: boolean, output: string }>}
     */
    async check (title, command, args, { expect = ({ code }) => code === 0, ...options } = {}) {
      const { ok, code, output } = await run(title, command, args, { ...options, expect })
      if (ok) passed++
      else failures.push({ title, line: [command, ...args].join(' '), output: `${output}exit code ${code}\n` })
      return { ok, output }
    },
    /** Prints what failed and the counts, and sets the exit code. */
    end () {
      for (const { title, line, output } of failures) process.stdout.write(`\n${'-'.repeat(80)}\n${title}: ${line}\n\n${output}\n`)
      process.stdout.write(`\n${passed} passed, ${failures.length} failed\n`)
      if (failures.length > 0) process.exitCode = 1
    }
  }
}
