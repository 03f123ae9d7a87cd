'use strict'

/** Received messages share memory, as Node's small Buffers do: what a program transfers of one takes nothing from the others. */

const { once } = require('node:events')
const { Queue, Topic, dgram, net, zmq } = require('..')

/** What becomes of the memory behind `bytes`: its clone's length, or the error. */
function transferred (bytes) {
  try {
    return structuredClone(bytes.buffer, { transfer: [bytes.buffer] }).byteLength > 0
  } catch (error) {
    return error.name
  }
}

/** `false`: it went, as it does with memory of its own. */
const pooled = transferred(Buffer.from('in the pool'))

const rooms = {
  async queue () {
    const queue = new Queue()
    await queue.sendMany(bodies())
    const received = []
    const next = () => queue.tryReceive()
    received.push(next())
    expect(transferred(received[0])).toBe(pooled)
    while (received.length < 20) received.push(next())
    queue.close()
    return received
  },
  async topic () {
    const topic = new Topic()
    const subscription = topic.subscribe()
    await topic.publishMany(bodies())
    const received = [subscription.tryReceive()]
    expect(transferred(received[0])).toBe(pooled)
    while (received.length < 20) received.push(subscription.tryReceive())
    subscription.close()
    topic.close()
    return received
  },
  async net () {
    const server = net.createServer(socket => socket.pipe(socket)).listen(0)
    await once(server, 'listening')
    const socket = net.connect(server.address().port)
    const received = []
    for (const body of bodies()) {
      socket.write(body)
      received.push((await once(socket, 'data'))[0])
      expect(transferred(received[0])).toBe(pooled)
    }
    socket.end()
    server.close()
    await once(server, 'close')
    return received
  },
  async dgram () {
    const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const received = []
    for (const body of bodies()) {
      socket.send(body, socket.address().port, '127.0.0.1')
      received.push((await once(socket, 'message'))[0])
      expect(transferred(received[0])).toBe(pooled)
    }
    socket.close()
    return received
  },
  async zmq () {
    const [push, pull] = [new zmq.Push(), new zmq.Pull()]
    await push.bind('tcp://127.0.0.1:*')
    pull.connect(push.lastEndpoint)
    const received = []
    for (const body of bodies()) {
      await push.send(body)
      received.push((await pull.receive())[0])
      expect(transferred(received[0])).toBe(pooled)
    }
    push.close()
    pull.close()
    return received
  }
}

test.each(Object.keys(rooms))('%s: transferring the memory of one message is refused, or copies, as for a small Buffer of Node', async room => {
  expect((await rooms[room]()).map(String)).toEqual(bodies().map(String))
})

test('a large message has memory of its own, which can be transferred', () => {
  const queue = new Queue()
  queue.trySend(Buffer.alloc(3 << 20, 'x'))
  const large = queue.tryReceive()
  expect(transferred(large)).toBe(true)
  expect(large).toHaveLength(0)
  queue.close()
})

/** Small Buffers, 20. */
function bodies () {
  return Array.from({ length: 20 }, (_, i) => Buffer.from(`message ${i}`))
}
