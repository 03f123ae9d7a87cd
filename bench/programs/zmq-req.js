'use strict'

const { args, api, result } = require('./program')
const { Stopwatch } = require('./meter')
const { COUNT, numbered } = require('./numbered')

async function main () {
  const req = new api.Request()
  req.connect(args.address)
  const messages = numbered(args.size)
  const watch = new Stopwatch(args)
  for (let i = 0, over = false; !over; i = (i + 1) % COUNT) {
    watch.begin()
    await req.send(messages[i])
    const [reply] = await req.receive()
    over = watch.end()
    if (!reply.equals(messages[i])) throw new Error(`reply ${i} is not what was sent`)
  }
  result(watch.p50)
}

main()
