'use strict'

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { Stopwatch } = require('./meter')
const { COUNT, numbered } = require('./numbered')

const SPIN = 1000 // microseconds of looking before a thread sleeps

if (isMainThread) {
  const { args, result } = require('./program')
  new Worker(__filename, { workerData: args }).on('message', result)
} else {
  const { Queue } = require(process.env.MODULE)
  const questions = new Queue(workerData.address.questions)
  const answers = new Queue(workerData.address.answers)
  const messages = numbered(workerData.size)
  const watch = new Stopwatch(workerData)
  for (let i = 0, over = false; !over; i = (i + 1) % COUNT) {
    watch.begin()
    questions.sendSync(messages[i])
    const answer = answers.receiveSync({ spin: SPIN })
    over = watch.end()
    if (!answer.equals(messages[i])) throw new Error(`answer ${i} is not what was sent`)
  }
  parentPort.postMessage(watch.p50)
}
