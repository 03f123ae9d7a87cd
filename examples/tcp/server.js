'use strict'

// Answers each connection, and ends after the first one.
const assert = require('node:assert')
const { net } = require('interproc')

const port = Number(process.argv[2] ?? 7001)

const server = net.createServer({ allowHalfOpen: true }, socket => {
  let question = ''
  socket.on('data', chunk => { question += chunk })
  socket.on('end', () => {
    console.log(`from the client: ${question}`)
    assert.equal(question, 'hello server')
    socket.end(`you said "${question}"`)
    server.close()
  })
})

server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`))
