'use strict'

// Node's own way for bytes from process to process: the channel of fork() with structured clones.
const path = require('node:path')
const { args, api, result } = require('./program')
const { Meter } = require('./meter')
const { PatternChecker } = require('./pattern')

const meter = new Meter(args)
const checker = new PatternChecker()
const child = api.fork(path.join(__dirname, 'process-send-large-child.js'), [String(args.size)], { serialization: 'advanced' })
child.on('message', message => {
  if (message.length !== args.size) throw new Error(`a message of ${message.length} bytes instead of ${args.size}`)
  checker.check(message, meter.warming)
  if (meter.add(message.length, args.glance)) result(meter.rate)
})
