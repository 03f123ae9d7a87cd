'use strict'

const { errnoOf } = require('../errors')

const COLUMNS = 3
/** More is refused with ENOBUFS: who sends without end into a full device must not fill the memory. */
const MOST = 64 * 1024 * 1024

/** Batches that the kernel had no room for, in order; and how one batch is handed over. */
class Outbox {
  /** @type {any[]} */
  #waiting = []
  bytes = 0
  count = 0

  /**
   * Sends a batch, or keeps it behind those that wait. Its memory is the caller's again afterwards.
   * @param {any} native
   * @param {any} batch
   */
  send (native, batch) {
    if (this.bytes + batch.used > MOST) return batch.reports.forEach((/** @type {any} */ report) => report?.ended(errnoOf('ENOBUFS')))
    if (this.#waiting.length > 0 || !transmit(native, batch)) this.#keep(batch)
  }

  /** @param {any} native */
  drain (native) {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting[0]
      const { used, count } = batch
      const done = transmit(native, batch)
      this.bytes -= used - (done ? 0 : batch.used)
      this.count -= count - (done ? 0 : batch.count)
      if (!done) return
      this.#waiting.shift()
    }
  }

  /** @param {any} batch */
  #keep (batch) {
    this.bytes += batch.used
    this.count += batch.count
    this.#waiting.push({
      ...batch,
      memory: Buffer.from(batch.memory.subarray(0, batch.used)),
      table: batch.table.slice(0, batch.count * COLUMNS)
    })
  }
}

/**
 * Sends a batch as far as there is room; what is left over remains in it.
 * @param {any} native
 * @param {any} batch
 * @returns {boolean} all of it was processed
 */
function transmit (native, batch) {
  const { memory, table, count, hosts, ports, reports, used } = batch
  const done = native.send(memory.subarray(0, used), table, count, hosts, ports)
  let bytes = 0
  for (let at = 0; at < count; at++) {
    // Where the call as a whole was refused, so was each datagram.
    const status = done < 0 ? done : table[at * COLUMNS + 2]
    if (done >= 0 && at >= done) break
    bytes += table[at * COLUMNS]
    reports[at]?.ended(status)
  }
  if (done < 0 || done === count) return true
  batch.memory = memory.subarray(bytes)
  batch.table = table.subarray(done * COLUMNS)
  batch.reports = reports.slice(done)
  batch.count = count - done
  batch.used = used - bytes
  return false
}

module.exports = { Outbox }
