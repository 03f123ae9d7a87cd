'use strict'

/** Runs one program of a list of steps: one line with its title, what it does meanwhile, and the time that it took. */

const { spawn } = require('node:child_process')

module.exports = { run }

/** @typedef {{ code: number, output: string }} Result */

/**
 * @param {string} title
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, seconds?: number, expect?: (result: Result) => boolean }} [options]
 *   `seconds` after which the program is ended (default 30 minutes); `expect` says what ending well is (default: exit code 0)
 * @returns {Promise<Result & { ok: boolean }>} `code` is 127 where the program does not exist
 */
function run (title, command, args, { cwd, env = process.env, seconds: limit = 1800, expect = ({ code }) => code === 0 } = {}) {
  const began = process.hrtime.bigint()
  const seconds = () => Number(process.hrtime.bigint() - began) / 1e9
  const line = progress(title)
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
    const output = []
    const watchdog = setTimeout(() => child.kill('SIGKILL'), limit * 1000)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output.push(chunk)
        line.show(chunk.toString(), seconds())
      })
    }
    const end = (code, more = '') => {
      clearTimeout(watchdog)
      const result = { code, output: Buffer.concat(output).toString() + more }
      const ok = expect(result)
      line.end(ok, seconds())
      resolve({ ...result, ok })
    }
    child.once('error', error => {
      child.removeAllListeners('close')
      end(127, `${error.message}\n`)
    })
    child.once('close', (code, signal) => end(code ?? 1, signal === null ? '' : `ended by ${signal}\n`))
  })
}

/**
 * On a terminal the last line of output follows the title; elsewhere the title is all that is said before the end.
 * @param {string} title
 */
function progress (title) {
  const { stdout } = process
  const live = stdout.isTTY
  const head = `  ${title} `.padEnd(52, '.')
  if (live) stdout.write(head)
  return {
    /**
     * @param {string} text
     * @param {number} seconds
     */
    show (text, seconds) {
      if (!live) return
      const last = text.trim().split('\n').at(-1)?.replace(/\x1b\[[0-9;]*[A-Za-z]|[^ -~]/g, '').trim() ?? ''
      const room = Math.max(0, (stdout.columns ?? 80) - head.length - 12)
      stdout.write(`\r${head} ${seconds.toFixed(0).padStart(4)} s  ${last.slice(0, room)}\x1b[K`)
    },
    /**
     * @param {boolean} ok
     * @param {number} seconds
     */
    end (ok, seconds) {
      stdout.write(`${live ? '\r' : ''}${head} ${seconds.toFixed(1).padStart(6)} s  ${ok ? 'ok' : 'FAILED'}${live ? '\x1b[K' : ''}\n`)
    }
  }
}
