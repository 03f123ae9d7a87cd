'use strict'

const { execFile } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { measure } = require('../bench/harness/measure')
const { runRow } = require('../bench/harness/run')
const { chart } = require('../bench/harness/chart')
const { formatTarget, formatValue } = require('../bench/harness/format')
const { families } = require('../bench/rows')
const demo = require('../bench/rows/demo')
const { examples } = require('../scripts/examples')

const bench = path.join(__dirname, '..', 'bench', 'index.js')
const args = { listen: { port: 0, host: '127.0.0.1' }, size: 64, seconds: 0.1, warmUp: 0.05 }
const run = (...options) => promisify(execFile)(process.execPath, [bench, ...options], { timeout: 25_000 })

test('every row of the command is listed', async () => {
  const { stdout } = await run('--list')
  const ids = stdout.trim().split('\n').map(line => line.split(' ')[0])
  expect(ids).toEqual(Object.values(families).flat().map(({ id }) => id))
  expect(new Set(ids).size).toBe(ids.length)
})

test('the demo measures each example that it shows', async () => {
  expect(Object.keys(demo).sort()).toEqual(examples.map(({ name }) => name).sort())
  expect(await runRow(demo['rate-limit'], { rounds: 1, seconds: 0.1, gigabytes: 1, self: false }, () => {})).toMatchObject({ id: 'demo.rate-limit', ours: expect.any(Number) })
})

test('the peer against itself gives a result in JSON, and the printed table', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'interproc-bench-'))
  try {
    const file = path.join(folder, 'result.json')
    const { stdout } = await run('--self', '--only', '^net.unix.echo', '--rounds', '2', '--seconds', '0.05', '--json', file)
    expect(stdout).toMatch(/net\.unix\.echo\.16B .* node:net .* ≤ 1x/)
    const { rows: [row], self } = JSON.parse(readFileSync(file, 'utf8'))
    expect(self).toBe(true)
    expect(row).toMatchObject({ id: 'net.unix.echo.16B', unit: 's', peerName: 'node:net', higherIsBetter: false, target: 1 })
    expect(row.ratio).toBe(row.ours / row.peer)
    expect(row.oursRange[0]).toBeGreaterThan(0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a module that loses what is written is not measured', async () => {
  const module = path.join(__dirname, 'fixtures', 'net-that-loses.js')
  await expect(measure({ module: 'node:net', programs: ['net-echo', 'net-small-writes'], args })).resolves.toBeGreaterThan(0)
  await expect(measure({ module, programs: ['net-echo', 'net-small-writes'], args })).rejects.toThrow(/message \d+ came where \d+ was due/)
})

test.each([['--only', 'nothing.like.this'], ['--rounds', '1.5'], ['--seconds', '0'], ['--unknown', 'option']])('%s %s is refused', async (...options) => {
  await expect(run(...options)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('--') })
})

test('a chart names the row, both sides and the gain', () => {
  const [row] = families.zmq
  const outcome = {
    ...row, peerName: 'zeromq.js', ours: 2e6, peer: 4e5, ratio: 5, oursQuartiles: [1.9e6, 2.1e6], peerQuartiles: [3e5, 5e5],
    date: '2026-01-02T03:04:05.000Z', machine: { cpu: 'A <fast> & "small" one', cores: 2, node: '20.0.0' }
  }
  for (const family of Object.keys(families)) expect(chart(family, [outcome])).toMatch(/aria-label="[^"]+/)
  const svg = chart('zmq', [outcome])
  for (const text of [row.title, '2.00 M msg/s', '400 k msg/s', '5.0×', 'A &lt;fast> &amp; &quot;small&quot; one']) expect(svg).toContain(text)
})

test('values are said as people say them', () => {
  expect(formatValue(1.943e6, 'msg/s')).toBe('1.94 M msg/s')
  expect(formatValue(24.13e-6, 's')).toBe('24.1 µs')
  expect(formatValue(999.6e-6, 's')).toBe('1.00 ms')
  expect(formatValue(3.4e9, 'B/s')).toBe('3.40 GB/s')
  expect(formatTarget({ limit: 4e6, unit: 'B' })).toBe('< 4.00 MB')
})
