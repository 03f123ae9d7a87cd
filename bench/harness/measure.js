'use strict'

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const PATIENCE = 60_000 // ms in which a measurement must end
const GRACE = 1000 // ms in which a program must end that is not needed any more

/**
 * Runs the programs of one side, and resolves the value that one of them measured, or the sum of what several did.
 * Rejects when a program fails, ends early, or the measurement does not end.
 *
 * @param {{ module: string, programs: string[], args: object, meters?: number }} side `module` as resolveModule gives it;
 *   `meters`: how many of the programs measure, the first ones (by default it may be any one)
 * @returns {Promise<number>}
 */
async function measure ({ module, programs, args, meters }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'interproc-bench-'))
  keepUntilEnd(folder)
  const children = []
  let fail
  const failed = new Promise((resolve, reject) => { fail = reject })
  const timer = setTimeout(() => fail(new Error(`no result after ${PATIENCE / 1000} s`)), PATIENCE)

  async function run () {
    let address
    for (const program of programs) {
      if (children.length > 0) address = await children.at(-1).ready
      children.push(start(program, module, { ...fill(args, folder), address }, fail))
    }
    if (meters === undefined) return Promise.race(children.map(({ result }) => result))
    const values = await Promise.all(children.slice(0, meters).map(({ result }) => result))
    return values.reduce((sum, value) => sum + value)
  }

  try {
    return await Promise.race([run(), failed])
  } finally {
    clearTimeout(timer)
    await Promise.all(children.map(({ end }) => end()))
    rmSync(folder, { recursive: true, force: true })
    folders.delete(folder)
  }
}

/** Folders of measurements that are going on. */
const folders = new Set()

/** Whoever interrupts a measurement finds nothing left of it. */
function keepUntilEnd (folder) {
  folders.add(folder)
  if (keepUntilEnd.listens) return
  keepUntilEnd.listens = true
  process.once('exit', () => { for (const each of folders) rmSync(each, { recursive: true, force: true }) })
  for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) process.once(signal, () => process.exit(128 + number))
}

function start (program, module, args, fail) {
  const child = fork(path.join(__dirname, '..', 'programs', `${program}.js`), [JSON.stringify(args)], {
    env: { ...process.env, MODULE: module },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc']
  })
  const exited = once(child, 'exit')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', text => { said = (said + text).slice(-4000) })
  // After the result this is no news: all programs end then, and `failed` is not looked at any more.
  child.on('close', (code, signal) => fail(new Error(`${program} ended with ${signal ?? code}${said && `:\n${said.trim()}`}`)))
  return {
    ready: answer(child, 'ready'),
    result: answer(child, 'result'),
    async end () {
      // At its end a program gives back what it shared; one that never comes to its event loop is killed.
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE)
      await exited
      clearTimeout(timer)
    }
  }
}

function answer (child, name) {
  return new Promise(resolve => child.on('message', message => { if (name in message) resolve(message[name]) }))
}

/** Puts the measurement's own folder where the row says {folder}. */
function fill (args, folder) {
  return JSON.parse(JSON.stringify(args).replaceAll('{folder}', folder))
}

module.exports = { measure }
