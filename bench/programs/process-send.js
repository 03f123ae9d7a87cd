'use strict'

// Node's own way from process to process: the channel of fork().
const path = require('node:path')
const { args, api, result } = require('./program')
const { Meter } = require('./meter')

const meter = new Meter(args)
const child = api.fork(path.join(__dirname, 'process-send-child.js'), [String(args.size)])
let next = 0
child.on('message', message => {
  if (message.length !== args.size || Number(message) !== next++) throw new Error(`${message} came where ${next - 1} was due`)
  if (meter.add()) result(meter.rate)
})
