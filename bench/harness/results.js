'use strict'

const { mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { families } = require('../rows')
const { chart } = require('./chart')

const folder = path.join(__dirname, '..', 'results')
const latest = path.join(folder, 'latest.json')

/**
 * Writes what was measured: the JSON that was asked for, and (unless the peer was measured against itself) the newest
 * result of every row and one chart for each family it touches.
 *
 * @param {{ self: boolean, rows: import('./run').Outcome[] }} report
 * @param {string} [json] The file of --json
 * @returns {string[]} The files written
 */
function keep (report, json) {
  const files = []
  const write = (file, text) => {
    writeFileSync(file, text)
    files.push(path.relative('', file))
  }
  if (json !== undefined) write(json, `${JSON.stringify(report, null, 2)}\n`)
  if (report.self) return files

  mkdirSync(folder, { recursive: true })
  const { date, machine } = report
  const measured = report.rows.filter(({ error }) => error === undefined)
  const rows = { ...readLatest(), ...Object.fromEntries(measured.map(row => [row.id, { ...row, date, machine }])) }
  write(latest, `${JSON.stringify(rows, null, 2)}\n`)
  for (const [family, list] of Object.entries(families)) {
    if (!measured.some(({ id }) => list.some(row => row.id === id))) continue
    write(path.join(folder, `${family}.svg`), chart(family, list.map(({ id }) => rows[id]).filter(Boolean)))
  }
  return files
}

function readLatest () {
  try {
    return JSON.parse(readFileSync(latest, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

module.exports = { keep }
