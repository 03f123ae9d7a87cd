'use strict'

/**
 * The command line. One file per command, which exports `summary` (one line for the help) and `run(args)`: the exit code.
 * Files are loaded when their command is asked for, so that `interproc build` works where the addon does not load.
 */

const { version } = require('../../package.json')

/** @typedef {{ summary: string, run: (args: string[]) => number | Promise<number> }} Command */
/** @type {Record<string, () => Command>} */
const commands = {
  build: () => require('./build'),
  ls: () => require('./ls'),
  top: () => require('./top'),
  cleanup: () => require('./cleanup'),
  rm: () => require('./rm')
}

module.exports = { run }

/** @param {string[]} args */
async function run ([name, ...args]) {
  process.exitCode = await dispatch(name, args)
}

/**
 * @param {string | undefined} name
 * @param {string[]} args
 */
function dispatch (name, args) {
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version}\n`)
    return 0
  }
  if (name !== undefined && Object.hasOwn(commands, name)) {
    const { summary, run } = commands[name]()
    if (!args.includes('--help') && !args.includes('-h')) return run(args)
    process.stdout.write(`interproc ${name}: ${summary}\n`)
    return 0
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help())
    return name === undefined ? 1 : 0
  }
  process.stderr.write(`interproc: there is no command "${name}"\n\n${help()}`)
  return 1
}

function help () {
  const lines = Object.entries(commands).map(([name, load]) => `  ${name.padEnd(10)} ${load().summary}\n`)
  return `Usage: interproc <command>\n\n${lines.join('')}  --version  print the version\n  --help     print this\n`
}
