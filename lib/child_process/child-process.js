'use strict'

/** `ChildProcess`: one process, its streams, its channel, its end. */

const { EventEmitter } = require('node:events')
const { constants: { signals } } = require('node:os')
const { channel: diagnosticsChannel } = require('node:diagnostics_channel')
const native = require('../native')
const { errnoException, errnoOf } = require('../errors')
const { validateArray, validateObject, validateOneOf, validateString } = require('../validate')
const { EXITED, IGNORE, INPUT, OUTPUT, PAIR, STARTED, flagsOf, textOf } = require('./command')
const { normalizeStdio } = require('./stdio')
const { signalNumber } = require('./normalize')
const { ChildPipe, stdioSocket, stopReading, usedAsStdio } = require('./pipe')
const { setupChannel } = require('./channel')

const created = diagnosticsChannel('child_process')
/** @type {Map<number, string>} */
const signalNames = new Map(Object.entries(signals).reverse().map(([name, number]) => [number, name]))
const TOLD_LATER = new Set(['EACCES', 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOENT'].map(errnoOf))
const ESRCH = errnoOf('ESRCH')
const EINVAL = errnoOf('EINVAL')

class ChildProcess extends EventEmitter {
  _closesNeeded = 1
  _closesGot = 0
  connected = false
  /** @type {string | null} */
  signalCode = null
  /** @type {number | null} */
  exitCode = null
  killed = false
  /** @type {string | null} */
  spawnfile = null
  /** @type {string[]} */
  spawnargs = []
  /** @type {import('node:net').Socket | null | undefined} */
  stdin = undefined
  /** @type {import('node:net').Socket | null | undefined} */
  stdout = undefined
  /** @type {import('node:net').Socket | null | undefined} */
  stderr = undefined
  /** @type {any[] | undefined} */
  stdio = undefined
  /** @type {any} the native process, from spawn to end */
  _handle = null

  constructor () {
    super()
    if (created.hasSubscribers) created.publish({ process: this })
  }

  /**
   * Starts the process; what `spawn()` calls with normalized options.
   * @param {any} options
   * @returns {number} 0, or the errno that `'error'` will tell
   */
  spawn (options) {
    validateObject(options, 'options')
    const { entries, ipcFd } = normalizeStdio(options.stdio || 'pipe', false)
    validateOneOf(options.serialization, 'options.serialization', [undefined, 'json', 'advanced'])
    const serialization = options.serialization || 'json'
    if (ipcFd !== undefined) {
      if (options.envPairs === undefined) options.envPairs = []
      else validateArray(options.envPairs, 'options.envPairs')
      options.envPairs.push(`NODE_CHANNEL_FD=${ipcFd}`, `NODE_CHANNEL_SERIALIZATION_MODE=${serialization}`)
    }
    validateString(options.file, 'options.file')
    this.spawnfile = options.file
    if (options.args === undefined) {
      this.spawnargs = []
    } else {
      validateArray(options.args, 'options.args')
      this.spawnargs = options.args
    }
    const args = options.preload ? preloaded(this.spawnargs, options.preload) : this.spawnargs
    const table = Int32Array.from(entries, place)
    /** @type {{ release (): void }[]} */
    const pipes = []
    const handle = native.spawnProcess(
      textOf({ envPairs: [], ...options }, args), args.length, flagsOf(options), options.uid ?? 0, options.gid ?? 0, table,
      (event, a, b) => this.#on(event, a, b, pipes))
    if (typeof handle === 'number') return this.#refused(handle)
    this._handle = handle
    Object.defineProperty(this, 'pid', { get: () => this.#pid(), set: pid => this.#setPid(pid), configurable: true, enumerable: true })
    this.#takeStreams(entries, table, pipes, serialization)
    return 0
  }

  /**
   * @param {string | number} [signal]
   * @returns {boolean} was it sent?
   */
  kill (signal) {
    const number = signal === 0 ? 0 : signalNumber(signal === undefined ? 'SIGTERM' : signal)
    if (this._handle === null) return false
    const errno = this._handle.kill(number)
    if (errno === 0) {
      this.killed = true
      return true
    }
    if (errno === ESRCH) return false
    if (errno === EINVAL) throw errnoException(errno, 'kill')
    this.emit('error', errnoException(errno, 'kill'))
    return false
  }

  /** Keeps the parent alive until the child has ended, as it does at first. */
  ref () { this._handle?.setRef(true) }
  /** Lets the parent end before the child. */
  unref () { this._handle?.setRef(false) }

  /**
   * @param {number} event
   * @param {number} a
   * @param {number} b
   * @param {{ release (): void }[]} pipes what gives nothing before `'spawn'`
   */
  #on (event, a, b, pipes) {
    if (event === STARTED) {
      this.#setPid(a)
      this.#tell(() => this.emit('spawn'), () => release(pipes))
    } else if (event === EXITED) {
      this.#exited(a, b)
    } else {
      this.#setPid(undefined)
      this.#tell(() => this.#failed(a), () => release(pipes))
    }
  }

  /**
   * What follows an event follows it also when a listener throws.
   * @param {() => void} event
   * @param {() => void} then
   */
  #tell (event, then) {
    try {
      event()
    } finally {
      then()
    }
  }

  /**
   * @param {number} code -1 where a signal ended it, or nobody knows
   * @param {number} signal or 0
   */
  #exited (code, signal) {
    if (signal !== 0) this.signalCode = signalNames.get(signal) ?? `SIG${signal}`
    else if (code >= 0) this.exitCode = code
    this.stdin?.destroy()
    this._handle = null
    this.#tell(() => this.emit('exit', this.exitCode, this.signalCode), () => this.#over())
  }

  /** @param {number} errno */
  #failed (errno) {
    this.exitCode = errno
    this.stdin?.destroy()
    this._handle = null
    const error = errnoException(errno, this.spawnfile ? `spawn ${this.spawnfile}` : 'spawn')
    if (this.spawnfile) Object.assign(error, { path: this.spawnfile })
    Object.assign(error, { spawnargs: this.spawnargs.slice(1) })
    this.#tell(() => this.emit('error', error), () => this.#over())
  }

  #over () {
    // One tick later: who begins to read only now is still in time.
    process.nextTick(drainUntouched, this)
    this._maybeClose()
  }

  /**
   * It could not even be tried.
   * @param {number} errno
   */
  #refused (errno) {
    if (!TOLD_LATER.has(errno)) throw errnoException(errno, 'spawn')
    process.nextTick(() => this.#failed(errno))
    return errno
  }

  /** Waits for it if it is asked for before the process has been started: Node has it at once. */
  #pid () {
    const pid = this._handle?.pid
    this.#setPid(pid > 0 ? pid : undefined)
    return Reflect.get(this, 'pid')
  }

  /** @param {number | undefined} value */
  #setPid (value) {
    Object.defineProperty(this, 'pid', { value, configurable: true, enumerable: true, writable: true })
  }

  /**
   * @param {import('./stdio').Entry[]} entries
   * @param {Int32Array} table
   * @param {{ release (): void }[]} pipes what gives nothing before `'spawn'`
   * @param {'json' | 'advanced'} serialization
   */
  #takeStreams (entries, table, pipes, serialization) {
    let channelFd = -1
    const streams = entries.map((entry, number) => {
      if (entry.type === 'wrap') stopReading(entry.stream)
      if (entry.type !== 'pipe' && entry.type !== 'overlapped') return null
      if (number > 0) this._closesNeeded++
      if (entry.ipc) {
        channelFd = table[number]
        return null
      }
      const pipe = new ChildPipe(table[number], number < 3)
      pipes.push(pipe)
      const socket = stdioSocket(pipe, number)
      if (number > 0) socket.on('close', () => this._maybeClose())
      return socket
    })
    this.stdin = streams[0] ?? null
    this.stdout = streams[1] ?? null
    this.stderr = streams[2] ?? null
    this.stdio = streams
    if (channelFd >= 0) pipes.push(setupChannel(this, channelFd, serialization))
  }

  /** One of the things that `'close'` waits for has ended. */
  _maybeClose () {
    this._closesGot++
    if (this._closesGot === this._closesNeeded) this.emit('close', this.exitCode, this.signalCode)
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(ChildProcess.prototype, Symbol.dispose, {
    value: function dispose () { if (!this.killed) this.kill() }, configurable: true, writable: true
  })
}

/**
 * @param {import('./stdio').Entry} entry
 * @param {number} number
 */
function place (entry, number) {
  if (entry.type === 'ignore') return IGNORE
  if (entry.type !== 'pipe' && entry.type !== 'overlapped') return /** @type {number} */ (entry.fd) | 0
  if (entry.ipc || number > 2) return PAIR
  return number === 0 ? INPUT : OUTPUT
}

/** @param {{ release (): void }[]} pipes */
function release (pipes) {
  for (const pipe of pipes) pipe.release()
}

/**
 * @param {string[]} args
 * @param {string[]} preload
 */
function preloaded ([first, ...rest], preload) {
  return [first, ...preload, ...rest]
}

/**
 * What nobody reads is read to its end, so that `'close'` comes.
 * @param {ChildProcess} child
 */
function drainUntouched (child) {
  for (const stream of child.stdio ?? []) {
    if (stream?.readable && !usedAsStdio.has(stream)) stream.resume()
  }
}

module.exports = { ChildProcess }
