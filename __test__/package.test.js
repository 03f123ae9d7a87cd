'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { exports: subpaths, version } = require('../package.json')

const root = path.join(__dirname, '..')

/** @type {string[]} */
const made = []

afterAll(() => made.forEach(folder => fs.rmSync(folder, { recursive: true, force: true })))

/** The package as a user has it, without its native binary. */
function copyWithoutBinary () {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'interproc-package-'))
  made.push(folder)
  fs.cpSync(path.join(root, 'lib'), path.join(folder, 'lib'), { recursive: true, filter: file => !file.endsWith('.node') })
  fs.cpSync(path.join(root, 'bin'), path.join(folder, 'bin'), { recursive: true })
  fs.copyFileSync(path.join(root, 'package.json'), path.join(folder, 'package.json'))
  return folder
}

const binary = fs.readdirSync(path.join(root, 'lib')).find(file => file.endsWith('.node'))

function node (folder, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder, encoding: 'utf8', timeout: 20_000, env: { ...process.env, ...env }
  })
  return { status, stdout, stderr }
}

const load = "try { require('./lib') } catch (e) { console.log(JSON.stringify({ code: e.code, message: e.message, cause: !!e.cause })) }"

describe('a failed load says what to do', () => {
  test('no binary for this platform', () => {
    const error = JSON.parse(node(copyWithoutBinary(), ['-e', load]).stdout)
    expect(error.code).toBe('ERR_INTERPROC_NO_BINARY')
    expect(error.message).toContain(`${process.platform} ${process.arch}`)
    expect(error.message).toContain('npx interproc build')
    expect(error.cause).toBe(true)
  })

  test('a binary that does not load', () => {
    const folder = copyWithoutBinary()
    fs.writeFileSync(path.join(folder, 'lib', binary), 'not a library')
    const error = JSON.parse(node(folder, ['-e', load]).stdout)
    expect(error.code).toBe('ERR_INTERPROC_BINARY_UNUSABLE')
    expect(error.message).toContain('npx interproc build')
  })

  test('a binary of another version', () => {
    const folder = copyWithoutBinary()
    fs.copyFileSync(path.join(root, 'lib', binary), path.join(folder, 'lib', binary))
    const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
    fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ ...manifest, version: '99.0.0' }))
    const error = JSON.parse(node(folder, ['-e', load]).stdout)
    expect(error.code).toBe('ERR_INTERPROC_BINARY_VERSION')
    expect(error.message).toContain(version)
    expect(error.message).toContain('99.0.0')
  })
})

describe('the command line', () => {
  const cli = path.join(root, 'bin', 'interproc.js')

  test('prints the version', () => {
    expect(node(root, [cli, '--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('prints its commands where none is named, and where it does not know the name', () => {
    expect(node(root, [cli])).toMatchObject({ status: 1, stdout: expect.stringContaining('build') })
    expect(node(root, [cli, '--help'])).toMatchObject({ status: 0, stdout: expect.stringContaining('Usage: interproc') })
    const unknown = node(root, [cli, 'toString'])
    expect(unknown.status).toBe(1)
    expect(unknown.stderr).toContain('there is no command "toString"')
    expect(unknown.stderr).toContain('build')
  })

  test('works without a binary, and says that building one needs Rust', () => {
    const folder = copyWithoutBinary()
    expect(node(folder, ['bin/interproc.js', '--version'])).toMatchObject({ status: 0, stdout: `${version}\n` })
    const { status, stderr } = node(folder, ['bin/interproc.js', 'build'], { PATH: folder, Path: folder })
    expect(status).toBe(1)
    expect(stderr).toContain('cargo is not on the PATH')
    expect(stderr).toContain('https://rustup.rs')
  })
})

describe('require and import', () => {
  const code = Object.entries(subpaths).filter(([, target]) => target.import?.default.endsWith('.mjs'))

  test.each(code)('of %s give the same things', subpath => {
    const specifier = `interproc${subpath.slice(1)}`
    const { stdout, stderr, status } = node(root, ['--input-type=module', '-e', `
      import { createRequire } from 'node:module'
      import { pathToFileURL } from 'node:url'
      const required = createRequire(pathToFileURL(process.cwd() + '/x.js'))('${specifier}')
      const imported = await import('${specifier}')
      const different = Object.keys(required).filter(name => imported[name] !== required[name])
      const surplus = Object.keys(imported).filter(name => name !== 'default' && name !== 'module.exports' && !(name in required))
      console.log(JSON.stringify({ different, surplus, sameDefault: imported.default === required }))`])
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ different: [], surplus: [], sameDefault: true })
  })

  test.each(code)('what %s has, and what its types say that it has, are the same names', (subpath, { require: { types } }) => {
    expect(valuesIn(path.join(root, types))).toEqual(Object.keys(require(`interproc${subpath.slice(1)}`)).sort())
  })

  test('every file that the package names is there', () => {
    const named = JSON.stringify(subpaths).match(/\.\/[^"]+\.(?:json|js|mjs|d\.ts|d\.mts)(?=")/g)
    expect(named.filter(file => !fs.existsSync(path.join(root, file)))).toEqual([])
  })

  test('a room is loaded when it is first used, and stays the same', () => {
    const program = `
      const interproc = require('interproc')
      const rooms = () => [...new Set(Object.keys(require.cache).map(file => /lib.(\\w+)[\\\\/]/.exec(file)?.[1]).filter(Boolean))]
      const before = rooms()
      const { Push } = interproc.zmq
      const after = rooms()
      console.log(JSON.stringify({ before, zeromq: after.includes('zeromq'), others: after.includes('child_process'), same: interproc.zmq.Push === Push }))`
    expect(JSON.parse(node(root, ['-e', program]).stdout)).toEqual({ before: [], zeromq: true, others: false, same: true })
  })

  test('Jest itself resolves the package by its name', () => {
    expect(require('interproc')).toBe(require('../lib'))
  })
})

test('the platform packages have the version of the package', () => {
  const platforms = fs.readdirSync(path.join(root, 'npm'))
  const versions = platforms.map(name => JSON.parse(fs.readFileSync(path.join(root, 'npm', name, 'package.json'), 'utf8')).version)
  expect(platforms).toHaveLength(7)
  expect(new Set(versions)).toEqual(new Set([version]))
})

test('the lock files name no registry', () => {
  const files = ['package-lock.json', 'bench/package-lock.json', '__test__/runtimes/package-lock.json']
  const present = files.filter(file => fs.existsSync(path.join(root, file)))
  expect(present.filter(file => fs.readFileSync(path.join(root, file), 'utf8').includes('"resolved"'))).toEqual([])
})

/**
 * The values (not the types) that a declaration file exports.
 * @param {string} file
 * @returns {string[]}
 */
function valuesIn (file) {
  const text = fs.readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
  const names = [...text.matchAll(/^export (?:declare )?(?:abstract )?(?:class|const|function|enum|\* as) (\w+)/gm)].map(([, name]) => name)
  for (const [, list] of text.matchAll(/^export \{([^}]*)\}/gm)) {
    names.push(...list.split(',').map(item => item.trim()).filter(item => item !== '' && !item.startsWith('type ')).map(item => item.split(' as ').at(-1)))
  }
  for (const [, from] of text.matchAll(/^export \* from '(.*)'/gm)) {
    names.push(...from.startsWith('node:') ? Object.keys(require(from)).filter(name => !name.startsWith('_')) : valuesIn(path.join(path.dirname(file), `${from.replace(/\.js$/, '')}.d.ts`)))
  }
  return [...new Set(names)].sort()
}
