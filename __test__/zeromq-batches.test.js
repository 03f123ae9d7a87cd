'use strict'

const { Push, Pull } = require('interproc/zeromq')

/** @type {(Push | Pull)[]} */
const sockets = []
afterEach(() => { for (const socket of sockets.splice(0)) socket.close() })

function open (Type) {
  const socket = new Type()
  sockets.push(socket)
  return socket
}

test('batches larger than the high-water mark arrive whole and in order', async () => {
  const [push, pull] = [open(Push), open(Pull)]
  await pull.bind('tcp://127.0.0.1:0')
  push.connect(pull.lastEndpoint)
  const batch = Array.from({ length: 2500 }, (_, index) => `message ${index}`)
  const sending = (async () => { for (let i = 0; i < 4; i++) await push.sendMany(batch) })()
  const received = []
  while (received.length < 4 * batch.length) {
    for (const [message] of await pull.receiveMany()) received.push(message.toString())
  }
  await sending
  expect(received).toEqual([...batch, ...batch, ...batch, ...batch])
})

test('a socket that connects elsewhere while it sends sends nothing more than it was given', async () => {
  const [push, pull, other] = [open(Push), open(Pull), open(Pull)]
  for (const socket of [pull, other]) await socket.bind('tcp://127.0.0.1:0')
  push.connect(pull.lastEndpoint)
  let ended = false
  const sending = (async () => { while (!ended) await push.send('message') })()
  const received = new Set()
  const receiving = (async () => { for await (const [message] of pull) received.add(message.toString()) })()
  for (let i = 0; i < 50; i++) {
    await new Promise(resolve => setTimeout(resolve, 5))
    push.connect(other.lastEndpoint)
    push.disconnect(other.lastEndpoint)
  }
  ended = true
  await sending
  pull.close()
  await receiving
  expect([...received]).toEqual(['message'])
})
