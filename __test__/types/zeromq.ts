// What a user may and may not write with ZeroMQ sockets.

import * as zeromq from 'interproc/zeromq'
import v5 = require('interproc/zeromq/v5-compat')
import { zmq } from 'interproc'

async function sixth () {
  const push = new zeromq.Push({ linger: 0, sendHighWaterMark: 10, context: new zeromq.Context({ maxSockets: 2 }) })
  await push.bind('tcp://127.0.0.1:*')
  await push.send('text')
  await push.send([Buffer.from('a'), 'b', null])
  await push.sendMany([['a', 'b'], 'c'])
  const endpoint: string | null = push.lastEndpoint
  const pull = new zmq.Pull()
  for await (const [message] of pull) message.readUInt8(0)
  const many: Buffer[][] = await pull.receiveMany()
  pull.events.on('handshake', event => event.address?.length)

  // @ts-expect-error a PUSH receives nothing
  await push.receive()
  // @ts-expect-error a PULL sends nothing
  await pull.send('x')
  // @ts-expect-error there is no such option
  void new zeromq.Pull({ lingre: 0 })
  // @ts-expect-error an option of another type
  void new zeromq.Pull({ mandatory: true })
  // @ts-expect-error an undefined message is an error
  await push.send(undefined)
  // @ts-expect-error only sockets of a type are made
  void new zeromq.Socket(1)
  void [endpoint, many]
}

function fifth () {
  const push = v5.socket('push')
  push.bindSync('tcp://127.0.0.1:5555')
  push.send(['a', Buffer.from('b')], zmq.ZMQ_SNDMORE, error => error?.message)
  zmq.socket('pull', { linger: 0 }).connect('tcp://127.0.0.1:5555').on('message', (first: Buffer, second: Buffer) => void [first, second])

  // @ts-expect-error there is no such type
  v5.socket('shove')
}

void [sixth, fifth]
