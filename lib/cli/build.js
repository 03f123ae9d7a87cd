'use strict'

/**
 * `interproc build`: builds the native binary from the sources in the package, for a machine that no prebuilt one fits.
 *
 * Needs a Rust toolchain and, the first time, crates from the network. What cargo makes on the way goes to a temporary folder
 * that is deleted (or to CARGO_TARGET_DIR, which is kept); the binary replaces an older one in one step, so that programs
 * that have that one loaded keep running.
 */

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const root = path.join(__dirname, '..', '..')

module.exports = { summary: 'build the native binary from source (needs Rust)', run }

/**
 * @param {string[]} args
 * @returns {number} the exit code
 */
function run ([unknown]) {
  if (unknown !== undefined) return fail(`interproc build: there is no option ${unknown}`)
  const cargo = spawnSync('cargo', ['--version'], { encoding: 'utf8' })
  if (cargo.status !== 0) {
    const why = cargo.error === undefined ? cargo.stderr.trim() : 'cargo is not on the PATH'
    return fail(`interproc build needs Rust, and ${why}.\nInstall it from https://rustup.rs and run this again.`)
  }
  process.stdout.write(`Building interproc with ${cargo.stdout.trim()}; this takes a minute or two.\n`)
  const kept = process.env.CARGO_TARGET_DIR
  const target = kept ?? fs.mkdtempSync(path.join(tmpdir(), 'interproc-build-'))
  try {
    return build(target)
  } finally {
    if (kept === undefined) fs.rmSync(target, { recursive: true, force: true })
  }
}

/** @param {string} target */
function build (target) {
  const args = ['build', '--release', '--locked', '--lib', '--manifest-path', path.join(root, 'Cargo.toml')]
  const cargo = spawnSync('cargo', args, { stdio: 'inherit', env: { ...process.env, CARGO_TARGET_DIR: target } })
  if (cargo.status !== 0) return fail('The build failed; what cargo says above is the reason.')
  const file = path.join(root, 'lib', `interproc.${suffix()}.node`)
  fs.copyFileSync(path.join(target, 'release', libraryName()), `${file}.new`)
  fs.renameSync(`${file}.new`, file)
  // In a process of its own: what does not load (or crashes) here is reported, not suffered.
  const test = spawnSync(process.execPath, ['-p', `require(${JSON.stringify(root)}).version`], { encoding: 'utf8' })
  if (test.status !== 0) return fail(`The binary was built (${file}) but does not load:\n${test.stderr}`)
  process.stdout.write(`Built ${file}: version ${test.stdout.trim()} loads.\n`)
  return 0
}

function libraryName () {
  if (process.platform === 'win32') return 'interproc.dll'
  return process.platform === 'darwin' ? 'libinterproc.dylib' : 'libinterproc.so'
}

/** The platform's name in the file that the generated loader looks for first. */
function suffix () {
  const { platform, arch } = process
  if (platform === 'win32') return `win32-${arch}-msvc`
  if (platform !== 'linux') return `${platform}-${arch}`
  const report = /** @type {any} */ (process.report?.getReport())
  return `linux-${arch}-${report?.header?.glibcVersionRuntime ? 'gnu' : 'musl'}`
}

/** @param {string} message */
function fail (message) {
  process.stderr.write(`${message}\n`)
  return 1
}
