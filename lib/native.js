'use strict'

/**
 * The native addon. This is the only file that loads it; a failed load becomes an error that says what to type.
 *
 * Errors: `ERR_INTERPROC_NO_BINARY` where there is no binary for this machine, `ERR_INTERPROC_BINARY_UNUSABLE` where there
 * is one that does not load, `ERR_INTERPROC_BINARY_VERSION` where it belongs to another version of the package.
 */

const { existsSync } = require('node:fs')
const { markAsUntransferable } = require('node:worker_threads')
const { version } = require('../package.json')

module.exports = load()

/** @returns {typeof import('./binding.js')} */
function load () {
  let native
  try {
    native = nearest() ?? require('./binding.js')
  } catch (error) {
    throw loadError(/** @type {Error} */ (error))
  }
  const found = native.version()
  if (found !== version) {
    throw advise('ERR_INTERPROC_BINARY_VERSION', `The native binary of interproc is version ${found}, the package is ${version}`, [
      'Install again: a package manager has mixed two versions.',
      'If you built the binary yourself: npx interproc build'
    ])
  }
  // Bun and Deno have no usable libuv: a background thread asks for turns. The variable is for tests.
  const { bun, deno } = /** @type {Record<string, string | undefined>} */ (process.versions)
  if (bun !== undefined || deno !== undefined || process.env.INTERPROC_DRIVER === 'tokio') native.driveWithoutLibuv()
  keepMemory(native)
  return native
}

/**
 * What many received messages share cannot be transferred, as Node's Buffer pool cannot: all others would be empty then.
 * @param {typeof import('./binding.js')} native
 */
function keepMemory (native) {
  try {
    markAsUntransferable(new ArrayBuffer(1))
  } catch {
    return // a runtime that has only its name
  }
  native.keepMemoryWith?.(markAsUntransferable)
}

/**
 * The binary where it nearly always is: beside this file, or in the platform's package. The generated loader knows every other
 * place and what to say of each, but takes longer than the binary itself.
 * @returns {typeof import('./binding.js') | undefined}
 */
function nearest () {
  const { arch, env, platform } = process
  if (env.NAPI_RS_NATIVE_LIBRARY_PATH !== undefined) return undefined
  const name = `${platform}-${arch}${platform === 'linux' ? '-gnu' : platform === 'win32' ? '-msvc' : ''}`
  const local = `${__dirname}/interproc.${name}.node`
  try {
    return require(existsSync(local) ? local : `@interproc/binding-${name}`)
  } catch {
    return undefined // musl, no binary, or one that does not load: the generated loader finds it, or the reason
  }
}

/** @param {Error} error what the generated loader threw: a chain of one cause per place that it tried */
function loadError (error) {
  const here = `${process.platform} ${process.arch}`
  // The loader's chain keeps the messages alone, not the codes.
  const broken = causes(error).find(cause => !/^(Cannot (find|resolve)|Could not|Module not found|Unsupported)/.test(cause.message))
  if (broken !== undefined) {
    return advise('ERR_INTERPROC_BINARY_UNUSABLE', `The native binary of interproc does not load on ${here}: ${firstLine(broken)}`, [
      'Build it on this machine (needs Rust, https://rustup.rs): npx interproc build',
      'In a container, install there: node_modules copied from another system has the binary of that system.'
    ], error)
  }
  return advise('ERR_INTERPROC_NO_BINARY', `interproc has no native binary for ${here} here`, [
    'Build it on this machine (needs Rust, https://rustup.rs): npx interproc build',
    'If there is a prebuilt one, the package manager left it out: delete node_modules and the lock file, then install again ' +
    'without --omit=optional (https://github.com/npm/cli/issues/4828).'
  ], error)
}

/**
 * @param {string} code
 * @param {string} message
 * @param {string[]} advice one thing to do per line
 * @param {Error} [cause]
 */
function advise (code, message, advice, cause) {
  const text = [`${message}.`, ...advice.map(line => `  - ${line}`)].join('\n')
  return Object.assign(new Error(text, cause && { cause }), { code })
}

/**
 * @param {any} error
 * @returns {Error[]}
 */
function causes (error) {
  const found = []
  for (let cause = error; cause instanceof Object && found.length < 32; cause = cause.cause) found.push(cause)
  return found
}

/** @param {Error} error */
function firstLine (error) {
  return error.message.split('\n', 1)[0]
}
