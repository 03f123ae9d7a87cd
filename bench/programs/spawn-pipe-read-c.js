'use strict'

// Reads what an ordinary C program prints: `head` writes as its library buffers, a few KB at a time.

const { args, api, result } = require('./program')

const WARM_UP = 64 * 2 ** 20

const zeros = Buffer.alloc(2 ** 20)
const child = api.spawn('head', ['-c', String(args.bytes), '/dev/zero'], { stdio: ['ignore', 'pipe', 'inherit'] })
let received = 0
let start = 0
let before = 0

child.stdout.on('data', chunk => {
  if (start === 0 && !chunk.equals(zeros.subarray(0, chunk.length))) throw new Error('something else came than was written')
  if (chunk[0] !== 0 || chunk[chunk.length - 1] !== 0) throw new Error('something else came than was written')
  received += chunk.length
  if (start === 0 && received >= WARM_UP) {
    start = performance.now()
    before = received
  }
})
child.stdout.on('end', () => {
  const seconds = (performance.now() - start) / 1000
  child.on('close', code => {
    if (code !== 0) throw new Error(`the child ended with ${code}`)
    if (received !== args.bytes) throw new Error(`${received} bytes came, ${args.bytes} were written`)
    result((received - before) / seconds)
  })
})
