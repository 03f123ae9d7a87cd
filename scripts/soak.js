'use strict'

/**
 * The long check: `npm run soak [-- MINUTES [ROOM...]]`. Runs every file of scripts/soak/ for its share of the time; each kills and stops
 * processes at random and counts what went wrong. Exit code 1 if anything did.
 */

const fs = require('node:fs')
const path = require('node:path')

const folder = path.join(__dirname, 'soak')
const [minutes = '10', ...rooms] = process.argv.slice(2)
const files = fs.readdirSync(folder).filter(file => file.endsWith('.js') && (rooms.length === 0 || rooms.includes(path.basename(file, '.js'))))

if (!(Number(minutes) > 0) || files.length === 0) {
  console.error(`Usage: npm run soak [-- MINUTES [ROOM...]], rooms: ${fs.readdirSync(folder).map(file => path.basename(file, '.js')).join(', ')}`)
  process.exit(1)
}

async function main () {
  for (const file of files) {
    const room = path.basename(file, '.js')
    const { failures, ...counts } = await require(path.join(folder, file)).soak(Number(minutes) * 60 / files.length)
    console.log(`${room}: ${Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(', ')}, ${failures.length} failures`)
    for (const failure of failures.slice(0, 20)) console.log(`  ${failure}`)
    if (failures.length > 0) process.exitCode = 1
  }
}

main()
