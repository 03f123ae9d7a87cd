// What a user may and may not write against `SharedBuffer`.

import { SharedBuffer, type SharedBufferOptions } from 'interproc'
import { cleanup, list, remove, type SegmentInfo } from 'interproc/shared'

const options: SharedBufferOptions = { name: 'jobs', persistent: false }
const shared: SharedBuffer = SharedBuffer.alloc(1024, options)
const buffer: Buffer = shared
const words = new Int32Array(shared.buffer, shared.byteOffset, 4)
const ticket: string = shared.subarray(0, 16).ticket
const again: SharedBuffer = SharedBuffer.open(ticket, { readOnly: true })
const name: string | null = again.name
const unknown: unknown = shared
if (SharedBuffer.isSharedBuffer(unknown)) unknown.close()
const all: SegmentInfo[] = [...list(), ...cleanup()]
const removed: boolean = remove('jobs', { force: true })

// @ts-expect-error a size is a number
SharedBuffer.alloc('1024')
// @ts-expect-error the option is `readOnly`
SharedBuffer.open(ticket, { readonly: true })
// @ts-expect-error a Buffer need not be shared
const wrong: SharedBuffer = Buffer.alloc(1)
// @ts-expect-error a ticket is given, not set
shared.ticket = 'x'
// @ts-expect-error it is made with alloc, from or open
void new SharedBuffer(10)

void [buffer, words, name, all, removed, wrong]
