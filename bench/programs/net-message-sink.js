'use strict'

// Messages over a stream, as everybody writes it: a length in front, and each is put together in one Buffer.
const { args, api, ready, result } = require('./program')
const { Meter } = require('./meter')
const { PatternChecker } = require('./pattern')

const HEAD = 4

const server = api.createServer(socket => {
  const checker = new PatternChecker()
  const meter = new Meter(args)
  const head = Buffer.alloc(HEAD)
  let headed = 0
  let message
  let filled = 0

  function take (chunk) {
    for (let at = 0; at < chunk.length;) {
      if (headed < HEAD) {
        const count = chunk.copy(head, headed, at)
        headed += count
        at += count
        if (headed < HEAD) return
        message = Buffer.allocUnsafe(head.readUInt32LE())
        filled = 0
      }
      const count = chunk.copy(message, filled, at)
      filled += count
      at += count
      if (filled === message.length) {
        headed = 0
        checker.check(message, meter.warming)
        if (meter.add(message.length, args.glance)) result(meter.rate)
      }
    }
  }

  socket.on('data', take)
})
server.listen(args.listen, () => ready(server.address()))
