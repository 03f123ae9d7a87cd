'use strict'

const { api, ready } = require('./program')

const [questions, answers] = [new api.Queue(), new api.Queue()]
ready({ questions: questions.ticket, answers: answers.ticket })

async function main () {
  for await (const message of questions) await answers.send(message)
}

main()
