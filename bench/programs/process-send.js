'use strict'

// Node's own way from process to process: the channel of fork().
const path = require('node:path')
const { args, api, result } = require('./program')
const { Meter } = require('./meter')
const { TextChecker } = require('./numbered')

const meter = new Meter(args)
const child = api.fork(path.join(__dirname, 'process-send-child.js'), [String(args.size)])
const checker = new TextChecker(args.size)
child.on('message', message => {
  checker.check(message)
  if (meter.add()) result(meter.rate)
})
