'use strict'

const WIDTH = 24

/** A bar on a terminal; elsewhere a line for each row. Writes to stderr, so that the table can be redirected alone. */
class Progress {
  #total
  #done = 0
  #start = performance.now()
  #terminal = process.stderr.isTTY

  /** @param {number} total Steps until the end */
  constructor (total) { this.#total = total }

  step (what) {
    if (this.#terminal) this.#draw(what)
    this.#done++
  }

  /** A row is over, and with it so many steps of all: `line` stays. */
  row (line, done) {
    this.#done = done
    this.#clear()
    process.stderr.write(`${line}\n`)
  }

  end () { this.#clear() }

  #draw (what) {
    const full = Math.round(WIDTH * this.#done / this.#total)
    const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
    const line = `${bar} ${this.#done}/${this.#total} ${this.#left()} ${what}`
    this.#clear()
    process.stderr.write(line.slice(0, (process.stderr.columns ?? 80) - 1))
  }

  #left () {
    if (this.#done < 2) return ''
    const seconds = (performance.now() - this.#start) / 1000 / this.#done * (this.#total - this.#done)
    return seconds < 60 ? `${Math.ceil(seconds)} s left` : `${Math.ceil(seconds / 60)} min left`
  }

  #clear () {
    if (this.#terminal) process.stderr.write('\r\x1b[K')
  }
}

module.exports = { Progress }
