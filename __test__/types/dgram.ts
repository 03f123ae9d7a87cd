// What a user may and may not write against `interproc/dgram`.

import type * as nodeDgram from 'node:dgram'
import { dgram as ofRoot } from 'interproc'
import * as dgram from 'interproc/dgram'

const socket: dgram.Socket = dgram.createSocket({ type: 'udp4', reuseAddr: true }, (message, from) => void [message.readUInt8(0), from.port])
socket.bind({ port: 0, address: '127.0.0.1' }, () => socket.setBroadcast(true))
socket.send('text', 1, '127.0.0.1', (error, bytes) => void [error?.message, bytes])
socket.sendMany(['text', Buffer.from('b'), new Uint16Array(2)], 1, '127.0.0.1', (error, sent) => void [error?.message, sent.toFixed()])
socket.sendMany(['text'], 1, (error, sent) => void [error, sent])
socket.sendMany([])

// It stands in for Node's: what takes the one takes the other.
const asNodes: nodeDgram.Socket = ofRoot.createSocket('udp6')

// @ts-expect-error there is no such type
dgram.createSocket('tcp4')
// @ts-expect-error a type is needed
dgram.createSocket()
// @ts-expect-error the options have no such member
dgram.createSocket({ type: 'udp4', reuseAddress: true })
// @ts-expect-error many are many
socket.sendMany('text', 1)
// @ts-expect-error a number is no message
socket.sendMany([1], 1)
// @ts-expect-error the port comes before the address
socket.sendMany(['text'], '127.0.0.1', 1)

void asNodes
