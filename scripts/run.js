'use strict'

/** Runs one program of a list of steps: one line with its title, what it does meanwhile, and the time that it took. */

const { spawn } = require('node:child_process')

module.exports = { run }

/**
 * @param {string} title
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ code: number, output: string, seconds: number }>} `code` is 127 where the program does not exist
 */
function run (title, command, args, { cwd, env = process.env } = {}) {
  const began = process.hrtime.bigint()
  const seconds = () => Number(process.hrtime.bigint() - began) / 1e9
  const line = progress(title)
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
    const output = []
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output.push(chunk)
        line.show(chunk.toString(), seconds())
      })
    }
    const end = (code, more = '') => {
      line.end(code === 0, seconds())
      resolve({ code, output: Buffer.concat(output).toString() + more, seconds: seconds() })
    }
    child.on('error', error => end(127, `${error.message}\n`))
    child.on('close', (code, signal) => end(code ?? 1, signal === null ? '' : `ended by ${signal}\n`))
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
