#!/usr/bin/env node
'use strict'

/**
 * `npm run lock`: writes package-lock.json anew, with versions and hashes but without the addresses of one registry, and
 * with every optional package of other platforms. `npm run lock bench` does it for the lock file of another folder.
 *
 * npm leaves out an optional package that the registry at hand does not serve (a mirror for one platform), and `npm ci`
 * refuses a lock file without it. Their versions are exact in the package that names them, so they can be written down.
 */

const { execFileSync } = require('node:child_process')
const { readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')

const folder = path.resolve(process.argv[2] ?? path.join(__dirname, '..'))
const file = path.join(folder, 'package-lock.json')

execFileSync('npm', ['install', '--package-lock-only', '--omit-lockfile-registry-resolved=false'], { cwd: folder, stdio: 'inherit' })
const lock = JSON.parse(readFileSync(file, 'utf8'))
const all = Object.values(lock.packages)
for (const entry of all) delete entry.resolved
for (const { dev, optionalDependencies = {} } of all) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const place = `node_modules/${name}`
    if (/^\d/.test(version)) lock.packages[place] ??= { version, ...platform(name), ...(dev ? { dev } : {}), optional: true }
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)

/** @param {string} name `@napi-rs/tar-linux-arm64-musl`, `@unrs/resolver-binding-win32-x64-msvc`, `…-wasm32-wasi` */
function platform (name) {
  const os = /-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)\b/.exec(name)?.[1]
  const cpu = /-(arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|universal|wasm32|x64)\b/.exec(name)?.[1]
  const libc = /-(musl|gnu)/.exec(name)?.[1]
  return {
    ...(os ? { os: [os] } : {}),
    ...(cpu && cpu !== 'universal' ? { cpu: [cpu] } : {}),
    ...(os === 'linux' && libc ? { libc: [libc === 'gnu' ? 'glibc' : 'musl'] } : {})
  }
}
