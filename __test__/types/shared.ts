// What a user may and may not write against interproc/shared.

import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { SharedBuffer } from 'interproc'
import * as shared from 'interproc/shared'

const buffer: SharedBuffer = SharedBuffer.alloc(1024, { name: 'name', persistent: true })
const same: typeof shared.SharedBuffer = SharedBuffer

// A Buffer for whoever takes one.
const plain: Buffer = buffer
const bytes: Uint8Array = buffer
createHash('sha256').update(buffer)
new Int32Array(buffer.buffer, buffer.byteOffset, 4)
fork('x').send({ buffer })

const slice: SharedBuffer = buffer.subarray(1, 2).slice(0)
const text: string = buffer.toString('utf8', 0, 5) + buffer.ticket
const name: string | null = buffer.name
buffer.close()
buffer[Symbol.dispose]()

SharedBuffer.alloc(1, 'ff', 'hex', { name: 'x' })
SharedBuffer.from('text', { name: 'x' })
SharedBuffer.from('ff', 'hex', { persistent: false })
SharedBuffer.from([1, 2])
SharedBuffer.open(buffer.ticket, { readOnly: true })
SharedBuffer.open({ $interproc: 'SharedBuffer', ticket: buffer.ticket })

for (const { kind, users, health, created } of shared.list()) void [kind, users[0]?.alive, health, created.getTime()]
const removed: boolean = shared.remove('name', { force: true })
void shared.cleanup().length

// @ts-expect-error a size is needed
SharedBuffer.alloc()
// @ts-expect-error there is no such option
SharedBuffer.alloc(1, { nmae: 'x' })
// @ts-expect-error buffers are made by alloc, from and open
new SharedBuffer(1)
// @ts-expect-error read-only is an option of open
SharedBuffer.alloc(1, { readOnly: true })
// @ts-expect-error the name is fixed
buffer.name = 'other'
// @ts-expect-error a size is a number
SharedBuffer.alloc('1')
// @ts-expect-error neither name nor ticket
SharedBuffer.open(5)

void [same, plain, bytes, slice, text, name, removed]
