#!/usr/bin/env node
'use strict'

/**
 * Makes a fresh clone ready to run: installs the dependencies that are missing and builds the native addon if a source
 * of it changed. `node scripts/setup.js` builds the quick profile that the tests use, `--release` the one that is shipped.
 */

const { createHash } = require('node:crypto')
const { existsSync, readdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { run } = require('./run')

const root = path.join(__dirname, '..')
const stampFile = path.join(root, 'lib', '.built.json')

module.exports = { setup }

if (require.main === module) {
  setup({ release: process.argv.includes('--release') }).catch(error => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
}

/**
 * @param {{ release?: boolean }} [options]
 * @returns {Promise<void>} rejects with an error that says what is missing
 */
async function setup ({ release = false } = {}) {
  checkNode()
  if (!installed()) await must('Installing the dependencies', 'npm', ['ci', '--no-audit', '--no-fund'])
  const stamp = JSON.stringify({ profile: release ? 'release' : 'debug', sources: hashOfSources() })
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp && built()) return
  await must(`Building the native addon (${release ? 'release' : 'debug'})`, 'npm', ['run', release ? 'build' : 'build:debug'])
  writeFileSync(stampFile, stamp)
}

function checkNode () {
  if (Number(process.versions.node.split('.')[0]) < 20) throw new Error(`interproc needs Node 20 or later; this is ${process.version}`)
}

/** True if every package of the lock file is there in its version; optional ones are for the platforms that have them. */
function installed () {
  const done = path.join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(done)) return false
  const present = packagesOf(done)
  return Object.entries(packagesOf(path.join(root, 'package-lock.json')))
    .every(([place, { version, optional }]) => place === '' || (optional ?? false) || present[place]?.version === version)
}

/**
 * @param {string} file
 * @returns {Record<string, { version: string, optional?: boolean }>}
 */
function packagesOf (file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

function built () {
  const files = readdirSync(path.join(root, 'lib'))
  return files.includes('binding.js') && files.includes('binding.d.ts') && files.some(name => name.endsWith('.node'))
}

/** By content: a checkout of another branch and back builds nothing. */
function hashOfSources () {
  const hash = createHash('sha256')
  const sources = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.rs'))
    .sort()
    .map(name => path.join('src', name))
  for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'package.json', ...sources]) {
    hash.update(`${name}\0`).update(readFileSync(path.join(root, name))).update('\0')
  }
  return hash.digest('hex')
}

/**
 * @param {string} title
 * @param {string} command
 * @param {string[]} args
 */
async function must (title, command, args) {
  const { code, output } = await run(title, command, args, { cwd: root })
  if (code === 0) return
  const hint = /cargo.*(ENOENT|not found)|ENOENT.*cargo/.test(output)
    ? '\nThe addon is written in Rust, and cargo is not on the PATH: install it from https://rustup.rs'
    : ''
  throw new Error(`${output}\n${title} failed (${command} ${args.join(' ')}).${hint}`)
}
