'use strict'

const path = require('node:path')
const { args, api, result } = require('./program')
const { PatternChecker } = require('./pattern')

const WHOLE = 64 * 2 ** 20 // so many of the first bytes are compared one by one, before the clock starts

const checker = new PatternChecker()
const child = api.spawn(process.execPath, [path.join(__dirname, 'print-pattern.js'), String(args.bytes)], {
  stdio: ['ignore', 'pipe', 'inherit']
})
let received = 0
let start = 0
let before = 0

child.stdout.on('data', chunk => {
  checker.check(chunk, start === 0)
  received += chunk.length
  if (start === 0 && received >= WHOLE) {
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
