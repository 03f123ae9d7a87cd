'use strict'

// What `npm test` and `npm run demo` do first, in a small project in place of this one: when it builds, and when it does not.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const build = profile => `node -e "const fs = require('fs'); fs.appendFileSync('builds', '${profile} ');` +
  "for (const name of ['binding.js', 'binding.d.ts', 'x.node']) fs.writeFileSync('lib/' + name, '')\""

/** @type {string} */
let folder

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), 'interproc-setup-'))
  fs.cpSync(path.join(__dirname, '..', 'scripts'), path.join(folder, 'scripts'), { recursive: true })
  const lock = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0', optional: true } } }
  write('package.json', { name: 'x', scripts: { build: build('release'), 'build:debug': build('debug') } })
  write('package-lock.json', lock)
  write('node_modules/.package-lock.json', { packages: { 'node_modules/a': { version: '1.0.0' } } })
  for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src/lib.rs', 'lib/index.js']) write(name, name)
})

afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

function write (name, content) {
  const file = path.join(folder, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
}

function setup (args = [], env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/setup.js', ...args], {
    cwd: folder, encoding: 'utf8', timeout: 20_000, env: { ...process.env, ...env }
  })
  const builds = path.join(folder, 'builds')
  return { status, stdout, stderr, builds: fs.existsSync(builds) ? fs.readFileSync(builds, 'utf8').trim().split(' ') : [] }
}

test('the first run builds, the second does nothing and says nothing', () => {
  expect(setup()).toMatchObject({ status: 0, stdout: expect.stringContaining('Building the native addon (debug)'), builds: ['debug'] })
  expect(setup()).toEqual({ status: 0, stdout: '', stderr: '', builds: ['debug'] })
})

test.each(['src/lib.rs', 'src/new/mod.rs', 'Cargo.toml', 'Cargo.lock', 'build.rs'])('a change of %s builds again', name => {
  setup()
  write(name, 'changed')
  expect(setup().builds).toEqual(['debug', 'debug'])
})

test('what Rust does not see builds nothing', () => {
  setup()
  write('lib/index.js', 'changed')
  write('src/lib.rs', 'src/lib.rs') // newer, and the same
  expect(setup().builds).toEqual(['debug'])
})

test('each profile is built when it is asked for', () => {
  setup()
  expect(setup(['--release']).builds).toEqual(['debug', 'release'])
  expect(setup(['--release']).builds).toEqual(['debug', 'release'])
})

test('a binary that was removed is built again', () => {
  setup()
  fs.rmSync(path.join(folder, 'lib', 'x.node'))
  expect(setup().builds).toEqual(['debug', 'debug'])
})

test('dependencies of another version are installed, and a failure is shown', () => {
  write('node_modules/.package-lock.json', { packages: { 'node_modules/a': { version: '0.9.0' } } })
  write('package.json', { name: 'x', dependencies: { a: '2.0.0' } }) // not what the lock file says
  const { status, stdout, stderr, builds } = setup([], { npm_config_offline: 'true', npm_config_cache: path.join(folder, 'cache') })
  expect(stdout).toContain('Installing the dependencies')
  expect(stderr).toContain('Installing the dependencies failed (npm ci')
  expect({ status, builds }).toEqual({ status: 1, builds: [] })
})

test('a failed build is shown, and tried again', () => {
  write('package.json', { name: 'x', scripts: { 'build:debug': 'echo the reason && exit 1' } })
  expect(setup()).toMatchObject({ status: 1, stderr: expect.stringContaining('the reason'), builds: [] })
  expect(setup().status).toBe(1)
})
