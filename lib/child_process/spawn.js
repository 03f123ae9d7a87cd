'use strict'

/** `spawn` and `fork`. */

const { addAbortListener } = require('node:events')
const path = require('node:path')
const { AbortError, ERR_CHILD_PROCESS_IPC_REQUIRED } = require('../errors')
const { validateAbortSignal, validateArray, validateObject } = require('../validate')
const { ChildProcess } = require('./child-process')
const {
  normalizeSpawn, optionalSignal, validateNoNull, validateNoNulls, validatePath, validateTimeout
} = require('./normalize')
const { stdioArray } = require('./stdio')

module.exports = { spawn, fork }

/** Lets the child understand what Node does not: the tickets of shared buffers in messages. */
const PRELOAD = path.join(__dirname, 'preload.js')

/**
 * @param {string} file
 * @param {any} [args]
 * @param {any} [options]
 * @returns {any}
 */
function spawn (file, args, options) {
  return start(normalizeSpawn(file, args, options))
}

/**
 * Runs a Node program with a channel to it.
 * @param {string | URL} modulePath
 * @param {any} [args]
 * @param {any} [options]
 */
function fork (modulePath, args = [], options) {
  const module = validatePath(modulePath, 'modulePath')
  if (args == null) {
    args = []
  } else if (typeof args === 'object' && !Array.isArray(args)) {
    options = args
    args = []
  } else {
    validateArray(args, 'args')
  }
  if (options != null) validateObject(options, 'options')
  options = { __proto__: null, ...options, shell: false }
  options.execPath = options.execPath || process.execPath
  validateNoNull(options.execPath, 'options.execPath')
  const execArgv = options.execArgv || ownExecArgv()
  validateNoNulls(execArgv, 'options.execArgv')
  if (typeof options.stdio === 'string') options.stdio = stdioArray(options.stdio, 'ipc')
  else if (!Array.isArray(options.stdio)) options.stdio = stdioArray(options.silent ? 'pipe' : 'inherit', 'ipc')
  else if (!options.stdio.includes('ipc')) throw new ERR_CHILD_PROCESS_IPC_REQUIRED('options.stdio')
  const normalized = normalizeSpawn(options.execPath, [...execArgv, module, ...args], options)
  if (options.execPath === process.execPath && process.release.name === 'node') normalized.preload = [...runDeno(), '--require', PRELOAD]
  return start(normalized)
}

/** Who may load an addon may do anything in Deno, so its child may too; Deno's own fork does the same. */
function runDeno () {
  return 'deno' in process.versions ? ['run', '--allow-all'] : []
}

/** Without the program of `node -e`, which would fork itself for ever. */
function ownExecArgv () {
  const own = process.execArgv
  const code = /** @type {any} */ (process)._eval
  const index = code == null ? -1 : own.lastIndexOf(code)
  return index > 0 ? own.toSpliced(index - 1, 2) : own
}

/** @param {any} options */
function start (options) {
  validateTimeout(options.timeout)
  validateAbortSignal(options.signal, 'options.signal')
  const killSignal = optionalSignal(options.killSignal)
  const child = new ChildProcess()
  child.spawn(options)
  if (options.timeout > 0) limitTime(child, options.timeout, killSignal)
  if (options.signal) abortWith(child, options.signal, killSignal)
  return child
}

/**
 * @param {InstanceType<typeof ChildProcess>} child
 * @param {number} timeout
 * @param {number | undefined} killSignal
 */
function limitTime (child, timeout, killSignal) {
  const timer = setTimeout(() => {
    try {
      child.kill(killSignal)
    } catch (error) {
      child.emit('error', error)
    }
  }, timeout)
  child.once('exit', () => clearTimeout(timer))
}

/**
 * @param {InstanceType<typeof ChildProcess>} child
 * @param {AbortSignal} signal
 * @param {number | undefined} killSignal
 */
function abortWith (child, signal, killSignal) {
  const abort = () => {
    try {
      if (child.kill(killSignal)) child.emit('error', new AbortError(undefined, { cause: signal.reason }))
    } catch (error) {
      child.emit('error', error)
    }
  }
  if (signal.aborted) {
    process.nextTick(abort)
    return
  }
  const listener = addAbortListener(signal, abort)
  child.once('exit', () => listener[Symbol.dispose]())
}
