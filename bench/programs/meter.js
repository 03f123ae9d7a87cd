'use strict'

const GLANCE = 255 // the clock is read once in so many events: it would cost as much as a message

/** Counts events for `seconds` after a warm-up of `warmUp` seconds. */
class Meter {
  #start = 0
  #until = 0
  #seconds
  #warmUp
  #events = 0
  #amount = 0

  /** Events, or the amounts given to `add`, per second of the measured time. */
  rate = 0
  /** True until the measured time begins. */
  warming = true

  constructor ({ seconds, warmUp }) {
    this.#seconds = seconds
    this.#warmUp = warmUp
  }

  /** Counts one event. True once, when the time is over: `rate` is valid then. */
  add (amount = 1, glance = GLANCE) {
    this.#amount += amount
    if ((++this.#events & glance) !== 0) return false
    const now = performance.now() / 1000
    if (this.#until === 0) this.#until = now + this.#warmUp
    if (now < this.#until) return false
    if (this.warming) {
      this.warming = false
      this.#start = now
      this.#until = now + this.#seconds
      this.#amount = 0
      return false
    }
    this.rate = this.#amount / (now - this.#start)
    this.#until = Infinity
    return true
  }
}

/** Times round trips for `seconds` after a warm-up of `warmUp` seconds. */
class Stopwatch {
  #times = []
  #meter
  #start = 0

  constructor (time) { this.#meter = new Meter(time) }

  begin () { this.#start = performance.now() }

  /** One round trip ended. True once, when the time is over: `p50` is valid then. */
  end () {
    const took = performance.now() - this.#start
    if (!this.#meter.warming) this.#times.push(took)
    return this.#meter.add(1, 15)
  }

  /** Median round trip in seconds. */
  get p50 () { return median(this.#times) / 1000 }
}

/** The middle of the numbers, or the mean of the middle two. */
function median (numbers) {
  const sorted = Float64Array.from(numbers).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

module.exports = { Meter, Stopwatch, median }
