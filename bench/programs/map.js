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
    return { place: map.ticket, get: key => map.get(key), set: (key, value) => { map.set(key, value) } }
  }
  const folder = place ?? mkdtempSync(path.join(tmpdir(), 'interproc-bench-'))
  if (place === undefined) process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  // As a cache would: no waiting for the disk.
  const map = api.open({ path: folder, encoding: 'json', noSync: true })
  return { place: folder, get: key => map.get(key), set: (key, value) => { map.putSync(key, value) } }
}
