'use strict'

const path = require('node:path')
const { args, api } = require('./program')
const { PatternChecker } = require('./pattern')
const { read } = require('./pipe-reader')

const checker = new PatternChecker()
const child = api.spawn(process.execPath, [path.join(__dirname, 'print-pattern.js'), String(args.bytes)], {
  stdio: ['ignore', 'pipe', 'inherit']
})
// The first bytes are compared one by one.
read(child, (chunk, isWarmUp) => checker.check(chunk, isWarmUp))
