'use strict'

/**
 * Programs that live for a random time: each is stopped (SIGSTOP) now and then, killed (SIGKILL) at its end, stopped or not, and
 * started again.
 */

/** A stop lasts so long at most, in milliseconds. */
const STOP_MS = 250
/** Who is never killed is stopped so often, in the mean. */
const STOP_EVERY_MS = 1500

class Victims {
  #counts
  #fail
  /** @type {Map<import('node:child_process').ChildProcess, NodeJS.Timeout[]>} */
  #running = new Map()
  #ending = false
  #calm = false
  /** Those who are never killed. */
  #spared = new Set()

  /**
   * @param {{ kills: number, stops: number }} counts
   * @param {(failure: string) => void} fail
   */
  constructor (counts, fail) {
    this.#counts = counts
    this.#fail = fail
  }

  get size () { return this.#running.size }

  /**
   * Starts a program, and another one whenever it ended. One with a pipe for stdout lives its time from its first word on, mostly: to start
   * takes Node.js longer than that on a busy machine.
   * @param {() => import('node:child_process').ChildProcess | undefined} start stderr must be a pipe; `undefined`: no more
   * @param {number} life mean milliseconds
   */
  keep (start, life) {
    if (this.#ending) return
    const child = start()
    if (child === undefined) return
    let stderr = ''
    child.stderr?.on('data', text => { stderr = (stderr + text).slice(0, 2000) })
    this.#running.set(child, [])
    child.on('error', error => this.#fail(error.message))
    child.on('close', (code, signal) => {
      this.#running.get(child)?.forEach(clearTimeout)
      this.#running.delete(child)
      if (signal !== 'SIGKILL' && code !== 0) this.#fail(stderr.trim() || `a program ended by ${signal ?? code}`)
      this.keep(start, life)
    })
    if (child.stdout === null || Math.random() < 0.1) this.#doom(child, life)
    else child.stdout.once('data', () => this.#doom(child, life))
  }

  /**
   * Starts a program that is stopped, but not killed, and has said its first word when this is resolved. It may end by itself.
   * @param {() => import('node:child_process').ChildProcess | undefined} start stdout and stderr must be pipes
   * @returns {Promise<void>}
   */
  keepAlive (start) {
    return new Promise(resolve => {
      this.keep(() => {
        const child = start()
        if (child === undefined) return undefined
        this.#spared.add(child)
        child.once('close', resolve)
        child.stdout?.once('data', resolve)
        return child
      }, Infinity)
    })
  }

  /** All at once, unless it is calm. */
  killAll () {
    if (this.#calm) return
    for (const child of this.#running.keys()) if (!this.#spared.has(child)) this.#kill(child)
  }

  /** From now on nobody is stopped or killed, and who is stopped goes on. */
  calm () {
    this.#calm = true
    for (const child of this.#running.keys()) child.kill('SIGCONT')
  }

  /** @param {number} life mean milliseconds that they live from now on */
  goOn (life) {
    this.#calm = false
    for (const child of this.#running.keys()) this.#doom(child, life)
  }

  /** Kills all; none is started any more. */
  async end () {
    this.#ending = true
    this.#calm = false
    this.#spared.clear()
    const ended = [...this.#running.keys()].map(child => new Promise(resolve => child.once('close', resolve)))
    this.killAll()
    await Promise.all(ended)
  }

  #doom (child, life) {
    const timers = this.#running.get(child)
    if (timers === undefined) return
    if (this.#spared.has(child)) {
      timers.push(setTimeout(() => {
        this.#stop(child)
        this.#doom(child, life)
      }, STOP_EVERY_MS * 2 * Math.random()))
      return
    }
    const until = -Math.log(1 - Math.random()) * life
    timers.push(setTimeout(() => this.#calm || this.#kill(child), until))
    if (Math.random() > 0.2) return
    timers.push(setTimeout(() => this.#stop(child), Math.random() * until))
  }

  #stop (child) {
    if (this.#calm || !child.kill('SIGSTOP')) return
    this.#counts.stops++
    this.#running.get(child)?.push(setTimeout(() => child.kill('SIGCONT'), Math.random() * STOP_MS))
  }

  #kill (child) {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) this.#counts.kills++
  }
}

module.exports = { Victims }
