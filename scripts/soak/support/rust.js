'use strict'

/** The Rust programs among the victims: they start in a millisecond, where Node.js takes fifty. */

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..', '..', '..')
const folder = path.join(root, 'target', 'soak-victim')

module.exports = { rustVictim, buildVictim }

function rustVictim () { return path.join(folder, 'debug', 'soak-victim') }

function buildVictim () {
  const args = ['build', '--quiet', '--manifest-path', path.join(root, 'tests', 'soak-victim', 'Cargo.toml'), '--target-dir', folder]
  const { status } = spawnSync('cargo', args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) throw new Error('soak-victim does not build')
}
