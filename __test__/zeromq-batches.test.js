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

test('a socket that binds while a send waits for the loop sends nothing more than it was given', async () => {
  const [push, pull] = [open(Push), open(Pull)]
  await pull.bind('tcp://127.0.0.1:0')
  push.connect(pull.lastEndpoint)
  // So many at once that the last one waits for the loop's next round, though it is handed over already.
  let waiting
  for (let sent = 0; sent < 513; sent++) waiting = push.send('message')
  push.bindSync('tcp://127.0.0.1:0')
  await waiting
  await push.send('the end')
  const received = new Map()
  for (let message = ''; message !== 'the end';) {
    message = String(await pull.receive())
    received.set(message, (received.get(message) ?? 0) + 1)
  }
  expect(Object.fromEntries(received)).toEqual({ message: 513, 'the end': 1 })
})
