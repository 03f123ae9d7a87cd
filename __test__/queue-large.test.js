'use strict'

const { spawnSync } = require('node:child_process')
const { mkdtempSync, readdirSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const v8 = require('node:v8')
const { Queue } = require('..')
const { cleanup } = require('../lib/shared')
const { worker } = require('./fixtures/queue-support')

const MB = 2 ** 20

const open = []
const make = (...args) => {
  const queue = new Queue(...args)
  open.push(queue)
  return queue
}
afterEach(() => open.splice(0).forEach(queue => queue.close()))

/** The files of a queue's large messages. */
function partsOf (queue) {
  const [, place, id] = /^interproc:\w+:([0-9a-f]{32}):([0-9a-f]{32})/.exec(queue.ticket) ?? [null, '', '']
  return readdirSync('/dev/shm').filter(name => name.includes(place) && name.includes(`${id.slice(0, 16)}.part-`))
}

describe('large messages', () => {
  test('arrive by reference, the receiver\'s own', async () => {
    const sender = make()
    const other = make(sender.ticket)
    const bytes = Buffer.alloc(20 * MB, 'näher ')
    await sender.send(bytes)
    const message = await other.receive()
    expect(Buffer.isBuffer(message)).toBe(true)
    expect(message.equals(bytes)).toBe(true)
    expect(message.toString('utf8', 0, 7)).toBe('näher ')
    expect(message.subarray(7, 14).toString()).toBe('näher ')
    expect(new TextDecoder().decode(message.subarray(0, 7))).toBe('näher ')
    message.fill(1)
    await sender.send(bytes)
    expect((await other.receive()).equals(bytes)).toBe(true)
    sender.close()
    other.close()
    expect(message[20 * MB - 1]).toBe(1)
  })

  test('use the same few files again', async () => {
    const queue = make()
    for (let i = 0; i < 30; i++) {
      await queue.send(Buffer.alloc(2 * MB, i))
      const message = await queue.receive()
      expect([message.length, message[0], message[2 * MB - 1]]).toEqual([2 * MB, i, i])
    }
    expect(partsOf(queue).length).toBeLessThan(4)
  })

  test('of every kind, read in place too', async () => {
    const queue = make({ capacity: 4096, codec: 'v8' })
    const values = ['x'.repeat(100_000), { a: 'y'.repeat(100_000) }, Buffer.alloc(100_000, 7)]
    for (const value of values) {
      await queue.send(value)
      expect(await queue.receive()).toEqual(value)
      await queue.send(value)
      expect(queue.drain(view => expect(view.value()).toEqual(value))).toBe(1)
    }
    let kept
    await queue.send(values[2])
    queue.drain(view => { kept = view.subarray() })
    expect(kept.length).toBe(0)
  })

  test('wait for room: for the capacity, for 8 MiB, or two messages', async () => {
    for (const [capacity, size, most] of [[64 * 1024, MB, 8], [2 * MB, MB, 8], [16 * MB, 4 * MB, 4], [64 * 1024, 5 * MB, 2]]) {
      const queue = make({ capacity })
      const bytes = Buffer.alloc(size)
      let sent = 0
      while (sent < 20 && queue.trySend(bytes)) sent++
      expect([capacity, size, sent]).toEqual([capacity, size, most])
    }
    const queue = make({ capacity: 64 * 1024 })
    const bytes = Buffer.alloc(9 * MB)
    expect([queue.trySend(bytes), queue.trySend(bytes), queue.trySend(bytes)]).toEqual([true, true, false])
    expect(queue.sendSync(bytes, { timeout: 10 })).toBe(false)
    const sent = queue.send(Buffer.alloc(9 * MB, 3))
    await queue.receive()
    await sent
    await queue.receive()
    expect((await queue.receive())[0]).toBe(3)
  })

  test('with acknowledgement come again as they were', async () => {
    const queue = make({ ack: true, capacity: 4096 })
    await queue.send(Buffer.alloc(9 * MB, 5))
    const first = await queue.receive()
    first.data.fill(6)
    first.release()
    const second = await queue.receive()
    expect(second.redelivered).toBe(true)
    expect(second.data.equals(Buffer.alloc(9 * MB, 5))).toBe(true)
    expect(second.ack()).toBe(true)
  })
})

describe('alloc', () => {
  test('what cannot be sent for an error of the system is gone, and is not unmapped under its Buffer', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'interproc-queue-'))
    const queue = make({ path: path.join(folder, 'queue') })
    const buffer = queue.alloc(3 * MB).fill(7)
    rmSync(folder, { recursive: true })
    expect(() => queue.trySend(buffer)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(buffer.length).toBe(0)
    expect(() => queue.trySend(buffer)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  })

  test('memory that becomes a message', async () => {
    const queue = make()
    const buffer = queue.alloc(MB)
    expect(buffer.length).toBe(MB)
    buffer.fill('a')
    await queue.send(buffer)
    expect(buffer.length).toBe(0)
    expect((await queue.receive()).equals(Buffer.alloc(MB, 'a'))).toBe(true)
    await expect(queue.send(buffer)).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
    expect(() => queue.trySend(buffer)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  })

  test('the first bytes of it, by every way of sending', async () => {
    const queue = make()
    const lent = size => queue.alloc(MB).fill(size).subarray(0, size)
    await queue.send(lent(10))
    expect(queue.trySend(lent(11))).toBe(true)
    expect(queue.sendSync(lent(12))).toBe(true)
    await queue.sendMany(['before', lent(13), 'after'])
    const values = await queue.receiveMany()
    while (values.length < 6) values.push(...await queue.receiveMany())
    expect(values).toEqual([10, 11, 12].map(size => Buffer.alloc(size, size)).concat('before', Buffer.alloc(13, 13), 'after'))
  })

  test('what does not begin at its begin is copied, as any bytes are', async () => {
    const queue = make()
    const buffer = queue.alloc(MB).fill('b')
    await queue.send(buffer.subarray(1, 5))
    expect(buffer.length).toBe(MB)
    expect(await queue.receive()).toEqual(Buffer.from('bbbb'))
    const other = make()
    await other.send(buffer)
    expect((await other.receive()).length).toBe(MB)
    expect(buffer.length).toBe(MB)
  })

  test('what waits for room is sent later', async () => {
    const queue = make({ capacity: 4096 })
    const [first, second, third] = [1, 2, 3].map(value => queue.alloc(9 * MB).fill(value))
    await Promise.all([queue.send(first), queue.send(second)])
    const sent = queue.send(third)
    const again = queue.send(third)
    expect(third.length).toBe(9 * MB)
    for (const value of [1, 2, 3]) expect((await queue.receive())[9 * MB - 1]).toBe(value)
    await sent
    await expect(again).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
    expect(third.length).toBe(0)
  })

  test('what is detached while it waits for room is not sent as an empty message', async () => {
    const queue = make({ capacity: 4096 })
    const [first, second, third] = [1, 2, 3].map(value => queue.alloc(9 * MB).fill(value))
    await Promise.all([queue.send(first), queue.send(second)])
    const sent = queue.send(third)
    const failed = expect(sent).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
    // As `transfer()` of later versions of Node does.
    v8.setFlagsFromString('--allow-natives-syntax')
    new Function('buffer', '%ArrayBufferDetach(buffer)')(third.buffer)
    expect(third.length).toBe(0)
    for (const value of [1, 2]) expect((await queue.receive())[9 * MB - 1]).toBe(value)
    await failed
    expect(queue.tryReceive()).toBe(undefined)
  })

  test('what is never sent goes with the queue', async () => {
    const queue = make()
    const buffer = queue.alloc(MB)
    expect(partsOf(queue).length).toBe(1)
    queue.close()
    expect(partsOf(queue)).toEqual([])
    buffer.fill(1)
    expect(() => queue.alloc(1)).toThrow(expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' }))
  })

  test('arguments', () => {
    const queue = make()
    expect(queue.alloc(0).length).toBe(0)
    expect(() => queue.alloc(-1)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
    expect(() => queue.alloc('1')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })
})

describe('bytes that wait for room', () => {
  const detach = buffer => structuredClone(buffer.buffer, { transfer: [buffer.buffer] })
  const full = () => {
    const queue = make({ capacity: 4096 })
    while (queue.trySend(Buffer.alloc(MB)));
    while (queue.trySend('x'.repeat(500)));
    while (queue.trySend(''));
    return queue
  }
  /** What is behind the messages of `full`. */
  async function rest (queue, count) {
    const values = []
    while (values.length < count) {
      const value = await queue.receive()
      if (value !== '' && value !== 'x'.repeat(500) && !value.equals?.(Buffer.alloc(MB))) values.push(value)
    }
    return values
  }

  test('a large Buffer that is detached meanwhile: an error, and no empty message', async () => {
    const queue = full()
    const bytes = Buffer.alloc(MB, 1)
    const sent = queue.send(bytes)
    const failed = expect(sent).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
    const behind = queue.send('behind')
    expect(detach(bytes).byteLength).toBe(MB)
    expect(await rest(queue, 1)).toEqual(['behind'])
    await Promise.all([failed, behind])
    expect(queue.tryReceive()).toBe(undefined)
  })

  test.each([10, MB])('a Buffer of %d bytes in a list that is detached meanwhile: an error, and how many went', async size => {
    const queue = full()
    const bytes = Buffer.from(new ArrayBuffer(size))
    const sent = queue.sendMany([Buffer.alloc(MB, 2), bytes, 'not sent'])
    const failed = expect(sent).rejects.toMatchObject({ code: 'ERR_INVALID_STATE', sent: 1 })
    detach(bytes)
    expect((await rest(queue, 1))[0].equals(Buffer.alloc(MB, 2))).toBe(true)
    await failed
    expect(queue.tryReceive()).toBe(undefined)
  })

  test('what is detached already is an error, in every form', () => {
    const queue = make()
    const bytes = new Uint8Array(10)
    const forms = [bytes, Buffer.from(bytes.buffer), new DataView(bytes.buffer), new Uint16Array(bytes.buffer), bytes.buffer]
    detach(bytes)
    for (const form of forms) {
      for (const send of [value => queue.trySend(value), value => queue.sendSync(value)]) {
        expect(() => send(form)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
      }
    }
    expect(queue.tryReceive()).toBe(undefined)
    for (const empty of [Buffer.alloc(0), new DataView(new ArrayBuffer(0)), new ArrayBuffer(0)]) {
      queue.trySend(empty)
      expect(queue.tryReceive()).toEqual(Buffer.alloc(0))
    }
  })

  test('large ones are read when there is room, small ones and what a codec made at the call', async () => {
    const scratch = Buffer.alloc(MB)
    const encode = value => scratch.fill(value)
    const queue = make({ capacity: 4096, codec: { encode, decode: bytes => bytes[bytes.length - 1] } })
    for (let i = 0; i < 8; i++) expect(queue.trySend(Buffer.alloc(MB, 9))).toBe(true)
    const large = Buffer.alloc(MB, 1)
    const small = Buffer.alloc(100, 1)
    const sent = [queue.send(large), queue.send(small), queue.send(3), queue.send(4)]
    large.fill(2)
    small.fill(2)
    for (let i = 0; i < 8; i++) await queue.receive()
    const received = [await queue.receive(), await queue.receive(), await queue.receive(), await queue.receive()]
    expect(received[0].equals(Buffer.alloc(MB, 2))).toBe(true)
    expect(received.slice(1)).toEqual([Buffer.alloc(100, 1), 3, 4])
    await Promise.all(sent)
  })

  test('an array that is used for the next values meanwhile', async () => {
    const queue = full()
    const values = [Buffer.alloc(MB, 3), 'second']
    const sent = queue.sendMany(values)
    values.length = 0
    const [first, second] = await rest(queue, 2)
    expect([first.equals(Buffer.alloc(MB, 3)), second]).toEqual([true, 'second'])
    await sent
  })
})

describe('kill -9', () => {
  test('a receiver that holds messages: its files are used again', async () => {
    const queue = make()
    const holder = worker('keep', queue.ticket, { count: 3 })
    for (let i = 1; i <= 3; i++) {
      await queue.send(Buffer.alloc(9 * MB, i))
      expect(await holder.line()).toBe(`${i}`)
    }
    const held = partsOf(queue).length
    expect(held).toBe(3)
    holder.child.kill('SIGKILL')
    await holder.end
    for (let i = 0; i < 6; i++) {
      await queue.send(Buffer.alloc(9 * MB, i))
      queue.drain(view => expect(view.getUint8(9 * MB - 1)).toBe(i))
    }
    expect(partsOf(queue).length).toBeLessThanOrEqual(held)
  })

  test('a receiver that was given one: it goes to another, whole', async () => {
    const queue = make({ ack: true })
    await queue.send(Buffer.alloc(9 * MB, 4))
    const holder = worker('keep', queue.ticket, { count: 1 })
    expect(await holder.line()).toBe('4')
    holder.child.kill('SIGKILL')
    await holder.end
    const message = await queue.receive()
    expect(message.redelivered).toBe(true)
    expect(message.data.equals(Buffer.alloc(9 * MB, 4))).toBe(true)
    message.ack()
  })

  test('a sender: what it sent arrives, what it lent is swept, and so is what it sent', async () => {
    const queue = make()
    const sender = worker('lend', queue.ticket, { size: 2 * MB })
    expect(await sender.line()).toBe('sent')
    expect(partsOf(queue).length).toBe(2)
    sender.child.kill('SIGKILL')
    await sender.end
    make(queue.ticket) // Whoever comes sweeps.
    expect(partsOf(queue).length).toBe(1)
    expect((await queue.receive()).equals(Buffer.alloc(2 * MB, 'm'))).toBe(true)
    expect(partsOf(queue)).toEqual([])
  })

  test.each(['the next queue of that name', 'cleanup'])('all of them: %s sweeps', async how => {
    const name = `large ${process.pid} ${Date.now()}`
    const sender = worker('lend', name, { size: 2 * MB, queue: { create: true } })
    expect(await sender.line()).toBe('sent')
    const other = make(name)
    const left = partsOf(other)
    expect(left.length).toBe(2)
    const holder = worker('keep', name, { count: 1 })
    expect(await holder.line()).toBe('109')
    other.close()
    for (const { child, end } of [sender, holder]) {
      child.kill('SIGKILL')
      await end
    }
    if (how === 'cleanup') cleanup()
    else make(name)
    expect(readdirSync('/dev/shm').filter(file => left.includes(file))).toEqual([])
  })
})

test('somebody writes to a message that was received while text is made of it', () => {
  const program = path.join(__dirname, 'smoke', 'queue-text.js')
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program], { env: { ...process.env, SECONDS: '2' }, encoding: 'utf8' })
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
  expect(stdout).toMatch(/^read \d+ times while it was written\n$/)
})

test('a full file system: an error, nothing is lost, and the queue goes on', async () => {
  const queue = make({ capacity: MB })
  // A limit on files stands in for it (EFBIG): the same calls fail.
  const sender = worker('overfill', queue.ticket, {}, undefined, { command: 'sh', prefix: ['-c', 'ulimit -f 4096 && exec "$@"', 'sh', process.execPath] })
  const received = []
  while (received.length < 3) received.push(await queue.receive())
  expect(received.map(({ length }) => length)).toEqual([MB, MB, 4])
  expect(await sender.line()).toMatch(/^EFBIG|^ENOSPC/)
  expect(await sender.line()).toMatch(/^EFBIG|^ENOSPC/)
  expect(await sender.end).toBe(0)
})
