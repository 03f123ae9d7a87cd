'use strict'

const { args, api, result } = require('./program')
const { Stopwatch } = require('./meter')
const { COUNT, numbered } = require('./numbered')

const questions = new api.Queue(args.address.questions)
const answers = new api.Queue(args.address.answers)
const messages = numbered(args.size)
const watch = new Stopwatch(args)

async function main () {
  for (let i = 0, over = false; !over; i = (i + 1) % COUNT) {
    watch.begin()
    await questions.send(messages[i])
    const answer = await answers.receive()
    over = watch.end()
    if (!answer.equals(messages[i])) throw new Error(`answer ${i} is not what was sent`)
  }
  result(watch.p50)
}

main()
