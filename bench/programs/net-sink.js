'use strict'

const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { PatternChecker } = require('./pattern')

const server = api.createServer(socket => {
  const checker = new PatternChecker()
  const meter = new Meter(args)
  socket.on('data', chunk => {
    checker.check(chunk, meter.warming)
    if (meter.add(chunk.length, 15)) result(meter.rate)
  })
})
server.listen(args.listen, () => ready(server.address()))
