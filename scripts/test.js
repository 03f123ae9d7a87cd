#!/usr/bin/env node
'use strict'

/**
 * `npm test`: everything that must hold, as a list of steps with their times, and one summary.
 * `npm test -- clippy jest` runs the named steps only; `npm test -- --list` names them.
 */

const { execFileSync } = require('node:child_process')
const { mkdirSync, mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { leftoversSince } = require('./leftovers')
const { run } = require('./run')
const { setup } = require('./setup')

const root = path.join(__dirname, '..')
const scratch = mkdtempSync(path.join(tmpdir(), 'interproc-test-'))
const temporary = path.join(scratch, 'tmp')
const jestReport = path.join(scratch, 'jest.json')
const local = name => path.join(root, 'node_modules', '.bin', name)

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} title
 * @property {string} command
 * @property {string[]} args
 * @property {NodeJS.ProcessEnv} [env]
 * @property {(output: string) => { passed: number, failed: number }} [count] of the test cases; a step without is a check
 */

/** @type {Step[]} */
const steps = [
  { name: 'fmt', title: 'Rust format', command: 'cargo', args: ['fmt', '--check'] },
  { name: 'lint', title: 'JavaScript style', command: local('eslint'), args: ['.'] },
  { name: 'tsc', title: 'Types', command: local('tsc'), args: [] },
  { name: 'publint', title: 'Package exports', command: local('publint'), args: ['--strict'] },
  { name: 'clippy', title: 'Clippy', command: 'cargo', args: clippy() },
  { name: 'clippy-core', title: 'Clippy, core without the binding', command: 'cargo', args: clippy('--no-default-features') },
  {
    name: 'doc',
    title: 'Rust documentation',
    command: 'cargo',
    args: ['doc', '--no-deps', '--document-private-items'],
    env: { RUSTDOCFLAGS: '-D warnings -A rustdoc::private_intra_doc_links' }
  },
  { name: 'rust', title: 'Rust tests', command: 'cargo', args: cargoTest(), count: countCargo },
  {
    name: 'rust-core',
    title: 'Rust tests, core without the binding',
    command: 'cargo',
    args: cargoTest('--no-default-features'),
    count: countCargo
  },
  {
    name: 'loom',
    title: 'Models of the lock-free types (loom)',
    command: process.execPath,
    args: [path.join(__dirname, 'loom.js')],
    count: countCargo
  },
  { name: 'jest', title: 'Jest', command: local('jest'), args: jest(), count: countJest },
  {
    name: 'jest-tokio',
    title: 'Jest, on the driver for runtimes without libuv',
    command: local('jest'),
    args: [...jest(), '--testPathPatterns', '/(reactor|child_process|net|dgram|locks|map|queue|shared|topic|zeromq)[^/]*$'],
    env: { INTERPROC_DRIVER: 'tokio' },
    count: countJest
  }
]

main(process.argv.slice(2)).catch(error => {
  process.stdout.write(`\n${error.message}\n\n0 passed, 1 failed\n`)
  process.exitCode = 1
}).finally(() => rmSync(scratch, { recursive: true, force: true }))

/** @param {string[]} wanted */
async function main (wanted) {
  if (wanted.includes('--list')) {
    for (const { name, title } of steps) process.stdout.write(`${name.padEnd(12)} ${title}\n`)
    return
  }
  const unknown = wanted.filter(name => !steps.some(step => step.name === name))
  if (unknown.length > 0) throw new Error(`There is no step ${unknown.join(', ')}; npm test -- --list names them.`)
  await setup()
  mkdirSync(temporary)
  const leftovers = leftoversSince(temporary)
  const failures = []
  const total = { passed: 0, failed: 0 }
  for (const step of steps.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    const env = { ...process.env, TMPDIR: temporary, ...step.env }
    const { code, output } = await run(step.title, step.command, step.args, { cwd: root, env })
    const { passed, failed } = step.count?.(output) ?? { passed: 0, failed: 0 }
    total.passed += passed
    // A step that fails without a failed case (a check, a compile error, a crash) is one failure.
    total.failed += code === 0 ? failed : Math.max(failed, 1)
    if (code !== 0 || failed > 0) failures.push({ step, output })
  }
  const left = await settled(leftovers)
  if (left.length > 0) {
    total.failed++
    process.stdout.write(`\nThe tests left behind:\n${left.map(file => `  ${file}\n`).join('')}`)
  }
  for (const { step, output } of failures) {
    process.stdout.write(`\n${'-'.repeat(80)}\n${step.title}: ${[path.basename(step.command), ...step.args].join(' ')}\n\n${tidy(output)}\n`)
  }
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`)
  process.exitCode = total.failed === 0 ? 0 : 1
}

function jest () {
  return ['--ci', '--json', `--outputFile=${jestReport}`, '--cacheDirectory', path.join(root, 'target', 'jest')]
}

/**
 * What is still there after a while: a program that was killed last, maybe another's, has its remains swept by the next one, or by this.
 * @param {() => string[]} leftovers
 */
async function settled (leftovers) {
  await run('Sweeping', process.execPath, [path.join(root, 'bin', 'interproc.js'), 'cleanup'])
  for (let tries = 0; tries < 50 && leftovers().length > 0; tries++) await new Promise(resolve => setTimeout(resolve, 100))
  return leftovers()
}

/** @param {string[]} features */
function clippy (...features) {
  return ['clippy', '--all-targets', ...features, '--', '-D', 'warnings']
}

/**
 * With the target named, as the napi tool does: so both use the same compiled crates.
 * @param {string[]} features
 */
function cargoTest (...features) {
  return ['test', '--no-fail-fast', '--target', hostTriple(), ...features]
}

function hostTriple () {
  try {
    return /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))?.[1] ?? 'host-tuple'
  } catch {
    return 'host-tuple' // There is no rustc: the set-up, which comes first, says so.
  }
}

/** @param {string} output one line `test result: ok. 12 passed; 0 failed; …` per test binary */
function countCargo (output) {
  let [passed, failed] = [0, 0]
  for (const [, good, bad] of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    passed += Number(good)
    failed += Number(bad)
  }
  return { passed, failed }
}

function countJest () {
  try {
    const report = JSON.parse(readFileSync(jestReport, 'utf8'))
    rmSync(jestReport)
    return { passed: report.numPassedTests, failed: report.numFailedTests + report.numRuntimeErrorTestSuites }
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    return { passed: 0, failed: 1 }
  }
}

/**
 * Without what went well, and without Jest's report as JSON.
 * @param {string} output
 */
function tidy (output) {
  return output.split('\n')
    .filter(line => !/^(test .* \.\.\. ok$|\s+(Compiling|Checking|Fresh) |\{"num|PASS )/.test(line))
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
}
