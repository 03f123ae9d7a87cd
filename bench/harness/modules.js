'use strict'

const { execFileSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')

const folder = path.join(__dirname, '..')
const root = path.join(folder, '..')
const fromPackage = createRequire(path.join(root, 'package.json'))
const fromBench = createRequire(path.join(folder, 'package.json'))
const { setup } = require('../../scripts/setup')
const peers = require('../package.json').dependencies

/** What a program must `require` to get the module: an absolute file, or Node's own name. */
function resolveModule (name) {
  if (name.startsWith('node:')) return name
  return isOurs(name) ? fromPackage.resolve(name) : fromBench.resolve(name)
}

/**
 * Builds the addon for release, and refuses any other: a debug build would be measured many times too slow.
 *
 * @param {{ build: boolean }} options
 */
async function prepareAddon ({ build }) {
  if (build) await setup({ release: true })
  const probe = `require(${JSON.stringify(resolveModule('interproc'))})
    console.log(Object.keys(require.cache).find(file => file.endsWith('.node')))`
  const addon = execFileSync(process.execPath, ['-e', probe], { encoding: 'utf8' }).trim()
  // The name of a section that tells a debugger the source lines: a release build is stripped of it.
  if (readFileSync(addon).includes('.debug_line\0')) {
    throw new Error(`${path.relative(root, addon)} is a debug build, which is not what users run: npm run build`)
  }
}

/** Installs the peers that are missing or of another version. They are no dependencies of the package. */
function preparePeers (names) {
  if (names.every(name => name.startsWith('node:') || isOurs(name) || installed(name) === peers[name])) return
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: process.platform === 'win32'
  })
}

function isOurs (name) {
  return name === 'interproc' || name.startsWith('interproc/')
}

function installed (name) {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'node_modules', name, 'package.json'), 'utf8')).version
  } catch {
    return undefined
  }
}

module.exports = { resolveModule, prepareAddon, preparePeers }
