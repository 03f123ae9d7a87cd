#!/usr/bin/env node
'use strict'

/**
 * `npm run test:runtimes`: every example and every program of __test__/smoke on each runtime that users have. The runtimes are
 * npm packages of `__test__/runtimes/package.json`, no dependencies of the package. `npm run test:runtimes -- deno bun` takes
 * some of them. On a platform for which there are none, the Node that runs this is all that is tested.
 */

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { run } = require('./run')
const { setup } = require('./setup')
const { examples } = require('./examples')
const exceptions = require('../__test__/runtimes/exceptions')

const root = path.join(__dirname, '..')
const home = path.join(root, '__test__', 'runtimes')
const smoke = path.join(root, '__test__', 'smoke')

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {string[]} command
 * @property {string} [version]
 */

main(process.argv.slice(2)).catch(error => {
  process.stdout.write(`\n${error.message}\n\n0 passed, 1 failed\n`)
  process.exitCode = 1
})

/** @param {string[]} wanted */
async function main (wanted) {
  await setup()
  await install()
  const all = runtimes()
  const unknown = wanted.filter(name => !all.some(runtime => runtime.name === name))
  if (unknown.length > 0) throw new Error(`There is no runtime ${unknown.join(', ')}, but ${all.map(({ name }) => name).join(', ')}.`)
  const chosen = all.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).map(withVersion)
  /** @type {Outcome[]} */
  const outcomes = []
  for (const runtime of chosen) for (const program of programs()) outcomes.push(await attempt(runtime, program))
  report(chosen, outcomes)
}

/** Installs the runtimes that are missing, in their own folder. */
async function install () {
  if (platformRuntimes().every(({ command: [file] }) => fs.existsSync(file))) return
  const { ok, output } = await run('Installing the runtimes', 'npm', ['ci', '--no-audit', '--no-fund'], { cwd: home })
  if (!ok) throw new Error(`${output}\nnpm ci failed in __test__/runtimes`)
}

/** @returns {Runtime[]} */
function runtimes () {
  const own = { name: `node${process.versions.node.split('.')[0]}`, command: [process.execPath] }
  return [own, ...platformRuntimes().filter(({ name }) => name !== own.name)]
}

/** @returns {Runtime[]} */
function platformRuntimes () {
  const platform = `${process.platform}-${process.arch}`
  const { optionalDependencies } = JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8'))
  return Object.keys(optionalDependencies).filter(name => name.endsWith(`-${platform}`)).sort(nodesFirst).map(name => {
    const folder = path.join(home, 'node_modules', name)
    const short = name.slice(0, -platform.length - 1)
    if (short === 'deno') return { name: short, command: [path.join(folder, 'deno'), 'run', '--allow-all', '--quiet'] }
    return { name: short, command: [path.join(folder, 'bin', short.startsWith('node') ? 'node' : short)] }
  })
}

/**
 * @param {string} a
 * @param {string} b
 */
function nodesFirst (a, b) {
  return Number(b.startsWith('node')) - Number(a.startsWith('node')) || (a < b ? -1 : 1)
}

/** @param {Runtime} runtime */
function withVersion (runtime) {
  const { stdout, error } = spawnSync(runtime.command[0], ['--version'], { encoding: 'utf8' })
  if (error !== undefined) throw new Error(`${runtime.name} does not start: ${error.message}`)
  return { ...runtime, version: /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? '?' }
}

/** @returns {{ name: string, args: (runtime: Runtime) => string[] }[]} a program of this Node that runs it on the runtime */
function programs () {
  const tests = fs.readdirSync(smoke).filter(file => /\.m?js$/.test(file)).sort()
  return [
    ...tests.map(file => ({ name: `smoke ${path.parse(file).name}`, args: ({ command }) => [...command, path.join(smoke, file)] })),
    ...examples.map(({ name }) => ({
      name: `example ${name}`,
      args: ({ command }) => [process.execPath, path.join(__dirname, 'run-example.js'), name, ...command]
    }))
  ]
}

/** @typedef {{ runtime: string, program: string, ok: boolean, excused: boolean, output: string }} Outcome */

/**
 * @param {Runtime} runtime
 * @param {{ name: string, args: (runtime: Runtime) => string[] }} program
 * @returns {Promise<Outcome>}
 */
async function attempt (runtime, program) {
  const excused = exceptions.some(one => one.runtime === runtime.name && one.program === program.name)
  const [file, ...args] = program.args(runtime)
  const { code, output } = await run(`${runtime.name} ${runtime.version}: ${program.name}`, file, args, {
    cwd: root, env: { ...process.env, NO_COLOR: '1' }, seconds: 120, expect: result => (result.code === 0) !== excused
  })
  return { runtime: runtime.name, program: program.name, ok: code === 0, excused, output: `${output}exit code ${code}` }
}

/**
 * @param {Runtime[]} chosen
 * @param {Outcome[]} outcomes
 */
function report (chosen, outcomes) {
  const bad = outcomes.filter(({ ok, excused }) => ok === excused)
  for (const { runtime, program, ok, output } of bad) {
    const why = ok ? 'works, but __test__/runtimes/exceptions.js says that it does not' : output
    process.stdout.write(`\n${'-'.repeat(80)}\n${runtime}: ${program}\n\n${why}\n`)
  }
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  const undocumented = exceptions.filter(({ reason }) => !readme.includes(reason))
  for (const { runtime, reason } of undocumented) process.stdout.write(`\nREADME.md does not say what ${runtime} lacks: ${reason}\n`)
  process.stdout.write(`\n${table(chosen, outcomes)}\n`)
  process.stdout.write(`\n${outcomes.length - bad.length} passed, ${bad.length + undocumented.length} failed\n`)
  if (bad.length + undocumented.length > 0) process.exitCode = 1
}

/**
 * @param {Runtime[]} chosen
 * @param {Outcome[]} outcomes
 */
function table (chosen, outcomes) {
  const heads = chosen.map(({ name, version }) => `${name.replace(/\d+$/, '')} ${version}`)
  const names = [...new Set(outcomes.map(({ program }) => program))]
  const wide = Math.max(...names.map(name => name.length))
  const cell = (program, { name }) => {
    const found = outcomes.find(outcome => outcome.runtime === name && outcome.program === program)
    if (found === undefined) return ''
    return found.ok ? 'ok' : found.excused ? 'lacks' : 'FAILED'
  }
  const line = (first, cells) => `  ${first.padEnd(wide)}  ${cells.map((text, i) => text.padEnd(heads[i].length)).join('  ')}`.trimEnd()
  return [line('', heads), ...names.map(name => line(name, chosen.map(runtime => cell(name, runtime))))].join('\n')
}
