'use strict'

const { Worker, isMainThread, workerData } = require('node:worker_threads')

const SPIN = 1000 // microseconds of looking before a thread sleeps

if (isMainThread) {
  const { api, ready } = require('./program')
  const [questions, answers] = [new api.Queue(), new api.Queue()]
  const address = { questions: questions.ticket, answers: answers.ticket }
  new Worker(__filename, { workerData: address })
  ready(address)
} else {
  const { Queue } = require(process.env.MODULE)
  const [questions, answers] = [new Queue(workerData.questions), new Queue(workerData.answers)]
  for (;;) answers.sendSync(questions.receiveSync({ spin: SPIN }))
}
