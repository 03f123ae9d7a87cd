'use strict'

/** Builds an example of the crate, sharing all that is compiled already for its tests. */

const { execFileSync, spawnSync } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..')

module.exports = { buildRustExample }

/**
 * @param {string} name
 * @returns {string} the program
 */
function buildRustExample (name) {
  const host = /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))?.[1] ?? 'host-tuple'
  const args = ['build', '--locked', '--example', name, '--no-default-features', '--target', host]
  const { status, stderr } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the example ${name} does not build: ${stderr}`)
  return path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), host, 'debug', 'examples', name)
}
