'use strict'

const assert = require('node:assert')
const { net } = require('interproc')

const port = Number(process.argv[2] ?? 7001)

const socket = net.connect(port, '127.0.0.1', () => socket.end('hello server'))
let answer = ''

socket.on('data', chunk => { answer += chunk })
socket.on('end', () => {
  console.log(`from the server: ${answer}`)
  assert.equal(answer, 'you said "hello server"')
  console.log('a question went to the server, and its answer came back')
})
