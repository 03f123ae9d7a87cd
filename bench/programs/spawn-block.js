'use strict'

const { once } = require('node:events')
const { args, api, result } = require('./program')
const { median } = require('./meter')

const CHUNK = 64 * 2 ** 20

async function main () {
  const alive = []
  for (let bytes = 0; bytes < args.bytes; bytes += CHUNK) alive.push(Buffer.alloc(CHUNK, 1))
  const times = []
  for (let i = 0; i < args.warmUps + args.spawns; i++) {
    const start = performance.now()
    const child = api.spawn('/bin/sh', ['-c', 'exit 7'])
    const took = performance.now() - start
    const [code] = await once(child, 'close')
    if (code !== 7) throw new Error(`the child ended with ${code} instead of 7`)
    if (i >= args.warmUps) times.push(took)
  }
  if (alive.some(chunk => chunk[CHUNK - 1] !== 1)) throw new Error('the buffers changed')
  result(median(times) / 1000)
}

main()
