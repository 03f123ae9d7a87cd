'use strict'

// Every program in README.md runs, and prints what the comments beside its console.log say.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const root = path.join(__dirname, '..')
const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
const programs = [...readme.matchAll(/^### (.+?)$(?:(?!^###)[\s\S])*?^```js\n([\s\S]*?)^```$/gm)].map(([, title, code]) => [title, code])

/** @type {string} */
let folder

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), 'interproc-readme-'))
  fs.mkdirSync(path.join(folder, 'node_modules'))
  fs.symlinkSync(root, path.join(folder, 'node_modules', 'interproc'), 'junction')
})

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

test('the five jobs have a program each, of about ten lines', () => {
  expect(programs).toHaveLength(5)
  for (const [, code] of programs) expect(code.trim().split('\n').filter(line => line !== '').length).toBeLessThanOrEqual(15)
})

test.each(programs)('%s', (_, code) => {
  const said = [...code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text)
  const file = path.join(folder, 'program.js')
  // Names of our own: somebody here may have them open.
  fs.writeFileSync(file, code.replace(/'(jobs|seen|report)'/g, `'$1 ${process.pid}'`))
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', timeout: 20_000 })
  expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
  expect(said.length).toBeGreaterThan(0)
  expect(stdout.trim().split('\n').slice(0, said.length)).toEqual(said)
})
