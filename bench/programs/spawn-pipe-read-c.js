'use strict'

// Reads what an ordinary C program prints: `head` writes as its library buffers, a few KB at a time.

const { args, api } = require('./program')
const { read } = require('./pipe-reader')

const zeros = Buffer.alloc(2 ** 20)
const child = api.spawn('head', ['-c', String(args.bytes), '/dev/zero'], { stdio: ['ignore', 'pipe', 'inherit'] })
read(child, (chunk, isWarmUp) => {
  const same = chunk[0] === 0 && chunk[chunk.length - 1] === 0
  if (!same || (isWarmUp && !chunk.equals(zeros.subarray(0, chunk.length)))) throw new Error('something else came than was written')
})
