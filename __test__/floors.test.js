'use strict'

// The rules of ARCHITECTURE.md about who may use whom, read off the sources.

const fs = require('node:fs')
const path = require('node:path')

const src = path.join(__dirname, '..', 'src')

/** From the ground up; a room uses what stands below it. */
const floors = [['sync'], ['reactor', 'shm', 'zmtp'], ['lock'], ['net', 'dgram', 'queue', 'map'], ['zmq', 'process', 'topic'], ['node']]
const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map(room => [room, floor])))

const sources = fs.readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.rs') && file.includes(path.sep))
  .map(file => ({ file, room: file.split(path.sep)[0], text: fs.readFileSync(path.join(src, file), 'utf8').replace(/^\s*\/\/.*$/gm, '') }))

test('every room stands on a floor', () => {
  expect(sources.length).toBeGreaterThan(20)
  expect([...new Set(sources.map(({ room }) => room))].filter(room => !floorOf.has(room))).toEqual([])
})

test('imports only go down', () => {
  const up = sources.flatMap(({ file, room, text }) => {
    const used = [...text.matchAll(/\bcrate::(?:\{([^}]*)\}|(\w+))/g)]
      .flatMap(([, several, one]) => one ?? several.split(',').map(item => /\w+/.exec(item)?.[0] ?? ''))
    return used.filter(other => other !== room && floorOf.has(other) && floorOf.get(other) >= floorOf.get(room)).map(other => `${file} uses ${other}`)
  })
  expect(up).toEqual([])
})

test('only node/ names napi', () => {
  expect(sources.filter(({ room, text }) => room !== 'node' && /\bnapi\b|\bnapi_/.test(text)).map(({ file }) => file)).toEqual([])
})

test('JavaScript asks for the addon in one place', () => {
  const lib = path.join(__dirname, '..', 'lib')
  const files = fs.readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter(file => /\.m?js$/.test(file) && file !== 'binding.js')
  const asking = files.filter(file => /require\([^)]*\bbinding\b/.test(fs.readFileSync(path.join(lib, file), 'utf8')))
  expect(asking).toEqual(['native.js'])
})
