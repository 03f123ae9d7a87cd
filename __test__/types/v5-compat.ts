// What a user may and may not write against `interproc/zeromq/v5-compat`.

import type { EventEmitter } from 'node:events'
import * as v5 from 'interproc/zeromq/v5-compat'

const push: v5.Socket = v5.socket('push', { linger: 0 })
const emitter: EventEmitter = v5.createSocket('pull')
push.bind('tcp://127.0.0.1:*', error => error?.message).connect('inproc://x').monitor(10, 1)
push.send('text').send([Buffer.from('a'), 'b'], v5.ZMQ_SNDMORE).send('c', null, error => error?.message)
push.setsockopt(v5.ZMQ_LINGER, 0).setsockopt('linger', 0).subscribe('topic').unsubscribe(Buffer.from('topic'))
push.on('message', (first: Buffer, second: Buffer) => void [first, second])
v5.proxy(v5.socket('router'), v5.socket('dealer'), push)
const threads: number = v5.Context.getMaxThreads()

// @ts-expect-error there is no such type
v5.socket('pusher')
// @ts-expect-error a type is needed
v5.socket()
// @ts-expect-error an address is a text
push.connect(5555)
// @ts-expect-error the flags come before the callback
push.send('text', () => undefined)
// @ts-expect-error two sockets are needed
v5.proxy(push)
// @ts-expect-error contexts are not made
void new v5.Context()
// @ts-expect-error an option has a name or a number
push.getsockopt(true)

void [emitter, threads]
