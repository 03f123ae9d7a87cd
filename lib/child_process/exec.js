'use strict'

/** `exec` and `execFile`: run to the end, collect the output, call back. */

const { promisify, getSystemErrorName } = require('node:util')
const { ERR_CHILD_PROCESS_STDIO_MAXBUFFER } = require('../errors')
const { normalizeExec, normalizeExecFile, optionalSignal, validateMaxBuffer, validateTimeout } = require('./normalize')
const { spawn } = require('./spawn')

module.exports = { exec, execFile }

const MAX_BUFFER = 1024 * 1024

/**
 * @param {string} command
 * @param {any} [options]
 * @param {any} [callback]
 */
function exec (command, options, callback) {
  const normalized = normalizeExec(command, options, callback)
  // Through the exports, where programs replace it.
  return require('./index').execFile(normalized.file, normalized.options, normalized.callback)
}

/**
 * @param {string} file
 * @param {any} [args]
 * @param {any} [options]
 * @param {any} [callback]
 */
function execFile (file, args, options, callback) {
  ({ file, args, options, callback } = normalizeExecFile(file, args, options, callback))
  options = {
    __proto__: null, encoding: 'utf8', timeout: 0, maxBuffer: MAX_BUFFER, killSignal: 'SIGTERM', cwd: null, env: null, shell: false, ...options
  }
  validateTimeout(options.timeout)
  validateMaxBuffer(options.maxBuffer)
  options.killSignal = optionalSignal(options.killSignal)
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env,
    gid: options.gid,
    shell: options.shell,
    signal: options.signal,
    uid: options.uid,
    windowsHide: !!options.windowsHide,
    windowsVerbatimArguments: !!options.windowsVerbatimArguments
  })
  new Collection(child, [file, ...args].join(' '), options, callback).start()
  return child
}

for (const run of [exec, execFile]) {
  Object.defineProperty(run, promisify.custom, { enumerable: false, value: promised(run) })
}

/** One run: what it wrote, and how it ended. */
class Collection {
  #child
  #command
  #options
  #callback
  #encoding
  #stdout
  #stderr
  /** @type {any} */
  #error = null
  #killed = false
  #ended = false
  /** @type {NodeJS.Timeout | null} */
  #timer = null

  /**
   * @param {any} child
   * @param {string} command for the message
   * @param {any} options
   * @param {((error: any, stdout: any, stderr: any) => void) | undefined | null} callback
   */
  constructor (child, command, options, callback) {
    this.#child = child
    this.#command = command
    this.#options = options
    this.#callback = callback
    const { encoding } = options
    this.#encoding = encoding !== 'buffer' && Buffer.isEncoding(encoding) ? encoding : null
    this.#stdout = new Output(child.stdout, 'stdout', options.maxBuffer, this.#encoding)
    this.#stderr = new Output(child.stderr, 'stderr', options.maxBuffer, this.#encoding)
  }

  start () {
    if (this.#options.timeout > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = null
        this.#kill()
      }, this.#options.timeout)
    }
    for (const output of [this.#stdout, this.#stderr]) {
      output.start(name => {
        this.#error = new ERR_CHILD_PROCESS_STDIO_MAXBUFFER(name)
        this.#kill()
      })
    }
    this.#child.addListener('close', (/** @type {number | null} */ code, /** @type {string | null} */ signal) => this.#end(code, signal))
    this.#child.addListener('error', (/** @type {any} */ error) => {
      this.#error = error
      this.#closeStreams()
      this.#end(null, null)
    })
  }

  #kill () {
    this.#closeStreams()
    this.#killed = true
    try {
      this.#child.kill(this.#options.killSignal)
    } catch (error) {
      this.#error = error
      this.#end(null, null)
    }
  }

  #closeStreams () {
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  /**
   * @param {number | null} code
   * @param {string | null} signal
   */
  #end (code, signal) {
    if (this.#ended) return
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (!this.#callback) return
    const stdout = this.#stdout.result()
    const stderr = this.#stderr.result()
    if (this.#error === null && code === 0 && signal === null) return this.#callback(null, stdout, stderr)
    if (this.#error === null) {
      const properties = {
        code: code !== null && code < 0 ? getSystemErrorName(code) : code, killed: this.#child.killed || this.#killed, signal
      }
      this.#error = Object.assign(new Error(`Command failed: ${this.#command}\n${stderr}`), properties)
    }
    this.#error.cmd = this.#command
    this.#callback(this.#error, stdout, stderr)
  }
}

/** What came on one stream, up to a limit. */
class Output {
  #stream
  #name
  #limit
  #encoding
  /** @type {any[]} */
  #chunks = []
  #length = 0

  /**
   * @param {import('node:net').Socket | null | undefined} stream
   * @param {string} name
   * @param {number} limit in bytes
   * @param {BufferEncoding | null} encoding
   */
  constructor (stream, name, limit, encoding) {
    this.#stream = stream
    this.#name = name
    this.#limit = limit
    this.#encoding = encoding
  }

  /** @param {(name: string) => void} exceeded */
  start (exceeded) {
    const stream = this.#stream
    if (!stream) return
    if (this.#encoding) stream.setEncoding(this.#encoding)
    stream.on('data', chunk => {
      const encoding = stream.readableEncoding
      const length = encoding ? Buffer.byteLength(chunk, encoding) : chunk.length
      this.#length += length
      if (!(this.#length > this.#limit)) {
        this.#chunks.push(chunk)
        return
      }
      this.#chunks.push(chunk.slice(0, this.#limit - (this.#length - length)))
      exceeded(this.#name)
    })
  }

  result () {
    return this.#encoding || this.#stream?.readableEncoding ? this.#chunks.join('') : Buffer.concat(this.#chunks)
  }
}

/** @param {(...args: any[]) => any} run */
function promised (run) {
  return (/** @type {any[]} */ ...args) => {
    /** @type {(value: any) => void} */
    let resolve
    /** @type {(error: any) => void} */
    let reject
    const promise = new Promise((_resolve, _reject) => { [resolve, reject] = [_resolve, _reject] })
    // Outside of the promise: wrong arguments throw at once.
    const child = run(...args, (/** @type {any} */ error, /** @type {any} */ stdout, /** @type {any} */ stderr) => {
      if (error === null) resolve({ stdout, stderr })
      else reject(Object.assign(error, { stdout, stderr }))
    })
    return Object.assign(promise, { child })
  }
}
