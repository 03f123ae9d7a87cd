'use strict'

/** `spawnSync`, `execFileSync`, `execSync`: the whole run inside one call. */

const { constants: { signals } } = require('node:os')
const native = require('../native')
const { ERR_INVALID_ARG_TYPE, errnoException } = require('../errors')
const { IGNORE, INPUT, OUTPUT, flagsOf, textOf } = require('./command')
const {
  normalizeExec, normalizeExecFile, normalizeSpawn, optionalSignal, validateMaxBuffer, validateTimeout
} = require('./normalize')
const { normalizeStdio } = require('./stdio')

module.exports = { spawnSync, execFileSync, execSync }

const MAX_BUFFER = 1024 * 1024
const NOTHING = new Uint8Array(0)
/** @type {Map<number, string>} */
const signalNames = new Map(Object.entries(signals).reverse().map(([name, number]) => [number, name]))

/**
 * @param {string} file
 * @param {any} [args]
 * @param {any} [options]
 */
function spawnSync (file, args, options) {
  options = { __proto__: null, maxBuffer: MAX_BUFFER, ...normalizeSpawn(file, args, options) }
  validateTimeout(options.timeout)
  validateMaxBuffer(options.maxBuffer)
  options.killSignal = optionalSignal(options.killSignal)
  const { entries } = normalizeStdio(options.stdio || 'pipe', true)
  const input = options.input ? bytesOf(options.input, options.encoding) : NOTHING
  return outcome(run(options, Int32Array.from(entries, place), input), entries, options)
}

/**
 * @param {string} file
 * @param {any} [args]
 * @param {any} [options]
 */
function execFileSync (file, args, options) {
  ({ file, args, options } = normalizeExecFile(file, args, options))
  const inherit = !options.stdio
  return output(spawnSync(file, args, options), [options.argv0 || file, ...args].join(' '), inherit)
}

/**
 * @param {string} command
 * @param {any} [options]
 */
function execSync (command, options) {
  const normalized = normalizeExec(command, options, null)
  const inherit = !normalized.options.stdio
  return output(spawnSync(normalized.file, normalized.options), command, inherit)
}

/**
 * @param {any} options
 * @param {Int32Array} table
 * @param {Uint8Array} input
 */
function run (options, table, input) {
  return native.runProcess(
    textOf(options, options.args), options.args.length, flagsOf(options), options.uid ?? 0, options.gid ?? 0, table, input,
    options.timeout ?? 0, options.maxBuffer ?? 0, options.killSignal || signals.SIGTERM)
}

/**
 * @param {import('../binding').NativeFinished} finished
 * @param {import('./stdio').Entry[]} entries
 * @param {any} options
 */
function outcome (finished, entries, options) {
  const started = finished.pid > 0
  const result = {
    ...(finished.errno === 0 ? {} : { error: spawnError(finished.errno, options) }),
    status: started && finished.code >= 0 ? finished.code : null,
    signal: started ? signalNames.get(finished.signal) ?? null : null,
    output: started ? outputs(finished.output, entries, options.encoding) : null,
    pid: finished.pid
  }
  return Object.assign(result, { stdout: result.output && result.output[1], stderr: result.output && result.output[2] })
}

/**
 * One element per descriptor of the child; null for what was not collected.
 * @param {Buffer[]} collected
 * @param {import('./stdio').Entry[]} entries
 * @param {BufferEncoding | 'buffer' | undefined} encoding
 */
function outputs (collected, entries, encoding) {
  const rest = collected.values()
  return entries.map((entry, number) => {
    if (place(entry, number) !== OUTPUT) return null
    const bytes = /** @type {Buffer} */ (rest.next().value)
    return encoding && encoding !== 'buffer' ? bytes.toString(encoding) : bytes
  })
}

/**
 * @param {number} errno
 * @param {any} options
 */
function spawnError (errno, { file, args }) {
  return Object.assign(errnoException(errno, `spawnSync ${file}`), { path: file, spawnargs: args.slice(1) })
}

/**
 * @param {any} result
 * @param {string} command for the message
 * @param {boolean} inherit shows what it wrote to stderr
 */
function output (result, command, inherit) {
  if (inherit && result.stderr) process.stderr.write(result.stderr)
  if (result.error) throw Object.assign(result.error, result)
  if (result.status !== 0) {
    const detail = result.stderr?.length > 0 ? `\n${result.stderr.toString()}` : ''
    throw Object.assign(new Error(`Command failed: ${command}${detail}`), result)
  }
  return result.stdout
}

/**
 * @param {import('./stdio').Entry} entry
 * @param {number} number
 */
function place ({ type, fd }, number) {
  if (type === 'ignore') return IGNORE
  if (type === 'pipe' || type === 'overlapped') return number === 0 ? INPUT : OUTPUT
  return /** @type {number} */ (fd) | 0
}

/**
 * @param {any} input
 * @param {any} encoding
 * @returns {Uint8Array}
 */
function bytesOf (input, encoding) {
  if (typeof input === 'string') return Buffer.from(input, encoding)
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
  throw new ERR_INVALID_ARG_TYPE('options.stdio[0]', ['Buffer', 'TypedArray', 'DataView', 'string'], input)
}
