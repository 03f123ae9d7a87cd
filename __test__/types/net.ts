// What a user may and may not write against `interproc/net`.

import type { Duplex } from 'node:stream'
import type * as nodeNet from 'node:net'
import { net as ofRoot } from 'interproc'
import * as net from 'interproc/net'

const server: net.Server = net.createServer({ allowHalfOpen: true }, socket => {
  const stream: Duplex = socket
  socket.on('data', chunk => chunk.toString('utf8'))
  void stream
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 16 }, () => undefined)
server.close(error => error?.message)

const socket: net.Socket = net.connect({ port: 1, host: 'localhost' }).setNoDelay(true).ref()
const path: net.Socket = net.createConnection('/tmp/x.sock')
const written: boolean = socket.write('text', 'utf8')

// It stands in for Node's: what takes the one takes the other.
const asNodes: typeof nodeNet.connect = ofRoot.connect

// @ts-expect-error a port is no boolean
net.connect(true)
// @ts-expect-error only text and bytes are written
socket.write({ an: 'object' })
// @ts-expect-error the options have no such member
net.createServer({ allowHalfOpened: true })

void [path, written, asNodes]
