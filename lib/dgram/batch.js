'use strict'

/**
 * The sends of one tick: they gather here and leave with few system calls at the tick's end, when this memory is full, or
 * when another socket needs it. One per thread.
 */

module.exports = { gather, flush, isGathering, queued }

const SIZE = 256 * 1024
const MAX_COUNT = 512
/** Integers per datagram: length, destination, result. */
const COLUMNS = 3

const memory = Buffer.allocUnsafeSlow(SIZE)
const table = new Int32Array(MAX_COUNT * COLUMNS)
/** @type {any} */
let owner = null
let used = 0
let count = 0
let scheduled = false
/** @type {string[]} */
let hosts = []
/** @type {number[]} */
let ports = []
/** @type {any[]} what is told of each datagram; undefined where nobody asked */
let reports = []

/**
 * Copies a datagram. What happens to it is told to `report.ended(status)`.
 * @param {any} socket
 * @param {Uint8Array[]} parts
 * @param {number} length of all parts
 * @param {string | null} host null on a connected socket
 * @param {number} port
 * @param {any} report
 */
function gather (socket, parts, length, host, port, report) {
  if (owner !== socket || used + length > SIZE || count === MAX_COUNT) flush()
  owner = socket
  for (const part of parts) {
    memory.set(part, used)
    used += part.byteLength
  }
  const row = count++ * COLUMNS
  table[row] = length
  table[row + 1] = host === null ? -1 : destination(host, port)
  reports.push(report)
  if (scheduled) return
  scheduled = true
  process.nextTick(endTick)
}

/** @param {any} socket */
function isGathering (socket) {
  return owner === socket
}

/** Bytes and datagrams of a socket that have not left. @param {any} socket */
function queued (socket) {
  return owner === socket ? { bytes: used, count } : { bytes: 0, count: 0 }
}

/** Sends what was gathered. */
function flush () {
  if (count === 0) return
  const batch = { memory, table, hosts, ports, reports, used, count }
  const socket = owner
  owner = null
  used = count = 0
  hosts = []
  ports = []
  reports = []
  socket._sendBatch(batch)
}

/**
 * @param {string} host
 * @param {number} port
 */
function destination (host, port) {
  for (let at = hosts.length - 1; at >= Math.max(0, hosts.length - 8); at--) {
    if (ports[at] === port && hosts[at] === host) return at
  }
  hosts.push(host)
  return ports.push(port) - 1
}

function endTick () {
  scheduled = false
  flush()
}
