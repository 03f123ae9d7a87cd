'use strict'

// Message queues: a push and a pull of two processes, and a request that is answered.
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { zmq } = require('interproc')

async function main () {
  if (process.argv[2] !== undefined) {
    const push = zmq.socket('push')
    push.connect(process.argv[2])
    for (let i = 0; i < 1000; i++) push.send([`message ${i}`, 'part'], 0, i === 999 ? () => push.close() : undefined)
    return
  }
  const pull = new zmq.Pull()
  await pull.bind('tcp://127.0.0.1:*')
  const child = spawn(process.execPath, [...process.execArgv, __filename, pull.lastEndpoint], { stdio: 'inherit' })
  for (let i = 0; i < 1000; i++) assert.deepEqual((await pull.receive()).map(String), [`message ${i}`, 'part'])
  assert.equal(await new Promise(resolve => child.once('exit', resolve)), 0)
  pull.close()

  const rep = new zmq.Reply()
  const req = new zmq.Request()
  await rep.bind('inproc://smoke')
  req.connect('inproc://smoke')
  await req.send('ping')
  assert.equal(String((await rep.receive())[0]), 'ping')
  await rep.send('pong')
  assert.equal(String((await req.receive())[0]), 'pong')
  req.close()
  rep.close()
  console.log('1000 messages came from another process, and a request was answered')
}

main()
