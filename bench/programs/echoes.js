'use strict'

const { args, result } = require('./program')
const { Meter } = require('./meter')
const { COUNT, numbered, Checker } = require('./numbered')

const IN_FLIGHT = 1024 // messages written and not yet echoed; as many writes a tick as came back before it

/** Measures small messages written to one stream, many a tick, and read again from another or the same. */
function measureEchoes (writable, readable) {
  const messages = numbered(args.size)
  const checker = new Checker(args.size)
  const meter = new Meter(args)
  let sent = 0
  let echoed = 0
  let rest = Buffer.alloc(0)

  function pump () {
    while (sent - echoed < IN_FLIGHT) writable.write(messages[sent++ % COUNT])
  }

  readable.on('data', chunk => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let offset = 0
    for (; offset + args.size <= bytes.length; offset += args.size) {
      checker.checkAt(bytes, offset)
      echoed++
      if (meter.add()) return result(meter.rate)
    }
    rest = bytes.subarray(offset)
    pump()
  })
  pump()
}

module.exports = { measureEchoes }
