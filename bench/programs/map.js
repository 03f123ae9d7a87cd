'use strict'

/** One face for our map and lmdb's. Both hold 100-byte JSON under the keys `key 0` to `key <n>`. */

const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

module.exports = { openMap, valueOf }

/** A JSON text of exactly 100 bytes. */
function valueOf (number) {
  const value = { id: number, name: 'somebody', roles: ['reader', 'writer'], text: '' }
  value.text = 'x'.repeat(100 - JSON.stringify(value).length)
  return value
}

/**
 * @param {any} api
 * @param {string} [place] of the process that made it
 */
function openMap (api, place) {
  if (api.SharedMap !== undefined) {
    const map = new api.SharedMap(place)
    const set = (key, value) => { map.set(key, value) }
    return { place: map.ticket, get: key => map.get(key), set, put: set, done: async () => {} }
  }
  const folder = place ?? mkdtempSync(path.join(tmpdir(), 'interproc-bench-'))
  if (place === undefined) process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  // As a cache would: no waiting for the disk. Its own encoding, MessagePack, reads slower here than JSON.
  const map = api.open({ path: folder, encoding: 'json', noSync: true })
  let last
  return {
    place: folder,
    get: key => map.get(key),
    // What ours does: when it returns, the other process has it.
    set: (key, value) => { map.putSync(key, value) },
    put: (key, value) => { last = map.put(key, value) },
    done: () => last
  }
}
