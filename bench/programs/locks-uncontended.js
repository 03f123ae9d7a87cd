'use strict'

const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { args, api, result } = require('./program')
const { Meter } = require('./meter')

/** Gets the lock, does `work`, gives it back. */
function locking () {
  if (api.locks !== undefined) return work => api.locks.request(`bench ${process.pid}`, work)
  const folder = mkdtempSync(path.join(tmpdir(), 'interproc-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'file')
  writeFileSync(file, '')
  return async work => {
    const release = await api.lock(file)
    work()
    await release()
  }
}

async function main () {
  const withLock = locking()
  const meter = new Meter(args)
  let worked = 0
  for (let over = false, times = 1; !over; times++) {
    await withLock(() => { worked++ })
    if (worked !== times) throw new Error('the lock was not there')
    over = meter.add(1, 15)
  }
  result(meter.rate)
}

main()
