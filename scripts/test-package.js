#!/usr/bin/env node
'use strict'

/**
 * `npm run test:package`: what a user gets. Packs the package and this platform's binary, installs both into an empty project
 * outside the checkout, and uses them there with a PATH on which there is no Rust. Then without the prebuilt binary: the
 * message, and `interproc build`.
 */

const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { checks } = require('./checks')
const { setup } = require('./setup')
const { exports: subpaths, devDependencies } = require('../package.json')

const root = path.join(__dirname, '..')
const scratch = fs.mkdtempSync(path.join(tmpdir(), 'interproc-package-'))
const { check, end } = checks()

main()
  .catch(error => {
    process.stdout.write(`${error.stack}\n`)
    process.exitCode = 1
  })
  .finally(() => fs.rmSync(scratch, { recursive: true, force: true }))

async function main () {
  await setup({ release: true })
  const tarballs = await pack()
  if (tarballs !== null) {
    const env = { ...process.env, PATH: pathWithoutRust() }
    const project = path.join(scratch, 'project')
    await installed(project, tarballs, env)
    await usedFrom(project, env)
    await builtFromSource(path.join(scratch, 'source'), tarballs, env)
  }
  end()
}

/**
 * The two tarballs, made as a release makes them but for this platform alone.
 * @returns {Promise<{ own: string, platform: string } | null>}
 */
async function pack () {
  const binary = fs.readdirSync(path.join(root, 'lib')).find(name => name.endsWith('.node'))
  const platform = fs.readdirSync(path.join(root, 'npm')).find(name => binary === `interproc.${name}.node`)
  if (binary === undefined || platform === undefined) throw new Error(`There is no platform package for ${binary}`)
  const stage = path.join(scratch, 'stage')
  const unpacked = path.join(stage, 'package')
  fs.mkdirSync(unpacked, { recursive: true })
  const packed = await check('Pack the package', 'npm', ['pack', '--ignore-scripts', '--pack-destination', stage], { cwd: root })
  const [tarball] = fs.readdirSync(stage).filter(name => name.endsWith('.tgz'))
  if (!packed.ok || tarball === undefined) return null
  await check('  no binary in it', 'tar', ['-tzf', tarball], { cwd: stage, expect: ({ output }) => !output.includes('.node\n') })
  await check('  unpack it', 'tar', ['-xzf', tarball], { cwd: stage })
  fs.cpSync(path.join(root, 'npm', platform), path.join(unpacked, 'npm', platform), { recursive: true })
  fs.copyFileSync(path.join(root, 'lib', binary), path.join(unpacked, 'npm', platform, binary))
  const { napi } = JSON.parse(fs.readFileSync(path.join(unpacked, 'package.json'), 'utf8'))
  const target = napi.targets.find(triple => nameOf(triple) === platform)
  fs.writeFileSync(path.join(unpacked, 'napi.host.json'), JSON.stringify({ ...napi, targets: [target] }))
  const napiCli = path.join(root, 'node_modules', '.bin', 'napi')
  const release = ['pre-publish', '-t', 'npm', '--no-gh-release', '--skip-optional-publish', '-c', 'napi.host.json']
  await check('  name the platform package in it', napiCli, release, { cwd: unpacked })
  const out = path.join(scratch, 'tarballs')
  fs.mkdirSync(out)
  const folders = [['Pack it again', unpacked], [`Pack the binary for ${platform}`, path.join(unpacked, 'npm', platform)]]
  for (const [title, cwd] of folders) await check(title, 'npm', ['pack', '--ignore-scripts', '--pack-destination', out], { cwd })
  const files = fs.readdirSync(out).map(name => path.join(out, name))
  const own = files.find(name => /interproc-\d/.test(path.basename(name)) && !name.includes('binding'))
  const other = files.find(name => name.includes('binding'))
  return own === undefined || other === undefined ? null : { own, platform: other }
}

/**
 * @param {string} project
 * @param {{ own: string, platform: string }} tarballs
 * @param {NodeJS.ProcessEnv} env
 */
async function installed (project, tarballs, env) {
  emptyProject(project)
  await check('No Rust on the PATH', 'cargo', ['--version'], { env, expect: ({ code }) => code === 127 })
  const tools = ['typescript', 'jest', '@types/node'].map(name => `${name}@${devDependencies[name]}`)
  await check('Install into an empty project', 'npm', ['install', tarballs.own, tarballs.platform, ...tools], { cwd: project, env })
}

/**
 * @param {string} project
 * @param {NodeJS.ProcessEnv} env
 */
async function usedFrom (project, env) {
  const specifiers = Object.entries(subpaths).filter(([, target]) => typeof target === 'object').map(([key]) => `interproc${key.slice(1)}`)
  const options = { cwd: project, env, seconds: 120 }
  for (const name of specifiers) {
    await check(`require('${name}')`, 'node', ['-e', `require('${name}')`], options)
    await check(`import('${name}')`, 'node', ['--input-type=module', '-e', `import '${name}'`], options)
  }
  await check('The binary is that of the platform package', 'node', ['-p', "require('interproc'); Object.keys(require.cache).join('\\n')"], {
    ...options, expect: ({ output }) => /@interproc[\\/]binding-.*\.node/.test(output)
  })
  await check('The command line', 'npx', ['--no-install', 'interproc', '--version'], options)
  typescriptProject(project, specifiers)
  for (const module of ['node20', 'nodenext']) {
    await check(`A strict TypeScript compile (${module})`, 'npx', ['--no-install', 'tsc', '--module', module], options)
  }
  fs.writeFileSync(path.join(project, 'user.test.js'), jestFile)
  await check('A Jest file', 'npx', ['--no-install', 'jest'], options)
  await runExamples(project, options)
}

/**
 * @param {string} project
 * @param {object} options
 */
async function runExamples (project, options) {
  fs.cpSync(path.join(root, 'examples'), path.join(project, 'examples'), { recursive: true })
  fs.mkdirSync(path.join(project, 'scripts'))
  fs.copyFileSync(path.join(root, 'scripts', 'examples.js'), path.join(project, 'scripts', 'examples.js'))
  for (const { name } of require('./examples').examples) await check(`Example ${name}`, 'node', ['scripts/examples.js', name], options)
}

/**
 * @param {string} project
 * @param {{ own: string, platform: string }} tarballs
 * @param {NodeJS.ProcessEnv} env
 */
async function builtFromSource (project, tarballs, env) {
  emptyProject(project)
  const install = ['install', '--omit=optional', tarballs.own]
  await check('Install without the prebuilt binary', 'npm', install, { cwd: project, env })
  await check('  require names the command to type', 'node', ['-e', "require('interproc')"], {
    cwd: project, env, expect: ({ code, output }) => code !== 0 && /ERR_INTERPROC_NO_BINARY/.test(output) && /npx interproc build/.test(output)
  })
  await check('  interproc build without Rust says so', 'npx', ['--no-install', 'interproc', 'build'], {
    cwd: project, env, expect: ({ code, output }) => code === 1 && output.includes('cargo is not on the PATH')
  })
  // The checkout's own target folder: the crates are compiled there already.
  const withRust = { ...process.env, CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? path.join(root, 'target') }
  await check('  interproc build', 'npx', ['--no-install', 'interproc', 'build'], { cwd: project, env: withRust })
  await check('  then it loads', 'node', ['-e', "require('interproc')"], { cwd: project, env })
}

/** @param {string} folder */
function emptyProject (folder) {
  fs.mkdirSync(folder)
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'a-user', version: '1.0.0', private: true }))
}

/**
 * @param {string} project
 * @param {string[]} specifiers
 */
function typescriptProject (project, specifiers) {
  const names = specifiers.map((specifier, index) => ({ specifier, name: `room${index}` }))
  const use = `void [${names.map(({ name }) => name).join(', ')}]\nconst text: string = interproc.version\nvoid text\n`
  const esm = names.map(({ specifier, name }) => `import * as ${name} from '${specifier}'\n`).join('')
  const cjs = names.map(({ specifier, name }) => `import ${name} = require('${specifier}')\n`).join('')
  fs.writeFileSync(path.join(project, 'esm.mts'), `import interproc from 'interproc'\n${esm}${use}`)
  fs.writeFileSync(path.join(project, 'cjs.cts'), `import interproc = require('interproc')\n${cjs}${use}`)
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', types: ['node'], skipLibCheck: false, exactOptionalPropertyTypes: true }
  fs.writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['esm.mts', 'cjs.cts'] }))
}

const jestFile = `
const interproc = require('interproc')
test('it loads', () => {
  expect(interproc.version).toBe(require('interproc/package.json').version)
})
test('its errors and buffers belong to the realm of the test', () => {
  expect(() => interproc.SharedBuffer.alloc(-1)).toThrow(RangeError)
  const buffer = interproc.SharedBuffer.from('text')
  expect(buffer).toBeInstanceOf(Buffer)
  expect(buffer).toEqual(Buffer.from('text'))
  buffer.close()
})
test('a connection to nobody fails as in Node', done => {
  interproc.net.connect(1, '127.0.0.1').on('error', error => {
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port: 1 })
    done()
  })
})
`

/** The PATH with every folder that has cargo or rustc replaced by one of links to the rest of it. */
function pathWithoutRust () {
  const rust = /^(cargo|rustc|rustup)(\.exe)?$/
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(fs.existsSync)
  return folders.map((folder, index) => {
    const names = fs.readdirSync(folder)
    if (!names.some(name => rust.test(name))) return folder
    const shadow = path.join(scratch, `path-${index}`)
    fs.mkdirSync(shadow)
    for (const name of names.filter(one => !rust.test(one))) fs.symlinkSync(path.join(folder, name), path.join(shadow, name))
    return shadow
  }).join(path.delimiter)
}

/** @param {string} triple `x86_64-unknown-linux-gnu` is `linux-x64-gnu` */
function nameOf (triple) {
  const [cpu, , system, abi] = triple.split('-')
  const arch = cpu === 'x86_64' ? 'x64' : 'arm64'
  if (system === 'windows') return `win32-${arch}-${abi}`
  return system === 'darwin' ? `darwin-${arch}` : `linux-${arch}-${abi}`
}
