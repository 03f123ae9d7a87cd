'use strict'

/** What a program may do in the middle of something: leave a loop, abort, close, throw, or call again. */

const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { Queue } = require('..')

const open = []
const make = (...args) => {
  const queue = new Queue(...args)
  open.push(queue)
  return queue
}
afterEach(() => open.splice(0).forEach(queue => queue.close()))

const code = code => expect.objectContaining({ code })
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

describe('the iterator', () => {
  test('leaves what comes after a break in the queue', async () => {
    const queue = make()
    await queue.sendMany([1, 2, 3])
    for await (const value of queue) if (value === 2) break
    expect(await queue.receive()).toBe(3)
  })

  test('return() ends a next() that waits, which takes no message then', async () => {
    const queue = make()
    const iterator = queue[Symbol.asyncIterator]()
    const waiting = [iterator.next(), iterator.next()]
    expect(await iterator.return('over')).toEqual({ value: 'over', done: true })
    expect(await Promise.all(waiting)).toEqual(Array(2).fill({ value: undefined, done: true }))
    await queue.send('kept')
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
    expect(queue.tryReceive()).toBe('kept')
  })

  test('throw() ends it with that error', async () => {
    const queue = make()
    const iterator = queue[Symbol.asyncIterator]()
    const waiting = iterator.next()
    await expect(iterator.throw(new Error('enough'))).rejects.toThrow('enough')
    expect(await waiting).toEqual({ value: undefined, done: true })
  })

  test('is an async iterator as others are', async () => {
    const queue = make()
    const iterator = queue[Symbol.asyncIterator]()
    expect(iterator[Symbol.asyncIterator]()).toBe(iterator)
    await iterator[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]()
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  test('two loops share the messages', async () => {
    const queue = make()
    const found = []
    const loop = async () => { for await (const value of queue) found.push(value) }
    const loops = [loop(), loop()]
    await queue.sendMany([1, 2, 3, 4, 5])
    while (found.length < 5) await pause(5)
    queue.close()
    await Promise.all(loops)
    expect(found.sort()).toEqual([1, 2, 3, 4, 5])
  })

  test('feeds a stream', async () => {
    const queue = make()
    await queue.sendMany(['a', 'b', 'c'])
    setTimeout(() => queue.close(), 50)
    const found = []
    await pipeline(Readable.from(queue), async source => { for await (const value of source) found.push(value) })
    expect(found).toEqual(['a', 'b', 'c'])
  })

  test('a message that cannot be decoded is an error of that next(), not the end', async () => {
    const decode = ([byte]) => {
      if (byte === 0) throw new Error('unreadable')
      return byte
    }
    const queue = make({ codec: { encode: value => Buffer.from([value]), decode } })
    await queue.sendMany([1, 0, 2])
    const iterator = queue[Symbol.asyncIterator]()
    expect(await iterator.next()).toEqual({ value: 1, done: false })
    await expect(iterator.next()).rejects.toThrow('unreadable')
    expect(await iterator.next()).toEqual({ value: 2, done: false })
  })
})

describe('sendMany that fails', () => {
  const values = Array.from({ length: 40 }, () => Buffer.alloc(40))

  test('says how many went when it is aborted', async () => {
    const queue = make({ capacity: 1024 })
    const stop = new AbortController()
    const sending = queue.sendMany(values, { signal: stop.signal })
    stop.abort(new Error('enough'))
    const error = await sending.catch(error => error)
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: new Error('enough') })
    expect(error.sent).toBe(queue.drain(() => {}))
    expect(error.sent).toBeGreaterThan(0)
  })

  test('says how many went when the queue is closed', async () => {
    const queue = make({ capacity: 1024 })
    const sending = queue.sendMany(values)
    const { sent } = queue.stats()
    queue.close()
    await expect(sending).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED', sent })
  })

  test('sends what comes before a value that cannot be encoded, also if that has to wait', async () => {
    const circle = {}
    circle.circle = circle
    const queue = make({ capacity: 1024 })
    const sending = queue.sendMany([...values, circle, 'never']).catch(error => error)
    const found = []
    for (let i = 0; i < values.length; i++) found.push(await queue.receive())
    expect(found).toEqual(values)
    expect(await sending).toMatchObject({ name: 'TypeError', sent: values.length })
    expect(queue.tryReceive()).toBeUndefined()
  })

  test('takes no string or Buffer for many messages', async () => {
    const queue = make()
    for (const wrong of ['text', Buffer.from('text'), 5, null, undefined, {}]) {
      await expect(queue.sendMany(wrong)).rejects.toEqual(code('ERR_INVALID_ARG_TYPE'))
    }
    expect(queue.tryReceive()).toBeUndefined()
  })
})

describe('readable', () => {
  test('waits for a message and takes none', async () => {
    const queue = make()
    let there = false
    const waiting = queue.readable().then(() => { there = true })
    await pause(20)
    expect(there).toBe(false)
    await queue.send('message')
    await waiting
    await queue.readable()
    expect(queue.tryReceive()).toBe('message')
  })

  test('is aborted by its signal, and ends with the queue', async () => {
    const queue = make()
    const waiting = [queue.readable({ signal: AbortSignal.timeout(10) }), queue.readable()]
    await expect(waiting[0]).rejects.toEqual(code('ABORT_ERR'))
    queue.close()
    await expect(waiting[1]).rejects.toEqual(code('ERR_QUEUE_CLOSED'))
    await expect(queue.readable()).rejects.toEqual(code('ERR_QUEUE_CLOSED'))
  })

  test('a message that one does not take wakes another receiver', async () => {
    const sender = make()
    const others = [make(sender.ticket), make(sender.ticket)]
    const looking = others[0].readable()
    await pause(10)
    const receiving = others[1].receive()
    await sender.send('message')
    await looking
    expect(await receiving).toBe('message')
  })
})

describe('calls within the callback of drain', () => {
  test('take nothing twice', async () => {
    const queue = make()
    await queue.sendMany([1, 2, 3])
    const seen = []
    let later
    const count = queue.drain(view => {
      seen.push(view.value())
      expect(queue.tryReceive()).toBeUndefined()
      expect(queue.drain(() => seen.push('again'))).toBe(0)
      expect(() => queue.receiveSync({ timeout: 0 })).toThrow(code('ERR_INVALID_STATE'))
      later ??= queue.receive()
    })
    expect([count, seen]).toEqual([3, [1, 2, 3]])
    await queue.send(4)
    expect(await later).toBe(4)
  })

  test('receive() waits for what the callback leaves there', async () => {
    const queue = make()
    await queue.sendMany([1, 2, 3])
    let later
    expect(() => queue.drain(() => {
      later = queue.receive()
      throw new Error('stop')
    })).toThrow('stop')
    expect(await later).toBe(2)
    expect(queue.tryReceive()).toBe(3)
  })

  test('may send', async () => {
    const queue = make()
    await queue.sendMany([3, 1])
    const seen = []
    queue.drain(view => {
      const value = view.value()
      seen.push(value)
      if (value > 0) queue.trySend(value - 1)
    })
    expect(seen).toEqual([3, 1, 2, 0, 1, 0])
  })

  test('may close the queue: the others get the rest', async () => {
    const one = make()
    const two = make(one.ticket)
    await two.sendMany([1, 2, 3])
    expect(one.drain(() => one.close())).toBe(1)
    expect(await two.receiveMany()).toEqual([2, 3])
  })
})

test('a codec that receives while it decodes a batch gets none of it', async () => {
  const nested = []
  const queue = make({
    codec: {
      encode: value => Buffer.from([value]),
      decode ([byte]) {
        nested.push(queue.tryReceive())
        return byte
      }
    }
  })
  await queue.sendMany([1, 2, 3])
  expect(await queue.receiveMany()).toEqual([1, 2, 3])
  expect(nested).toEqual([undefined, undefined, undefined])
})

test('every call on a closed queue says so', async () => {
  const queue = make()
  queue.close()
  const closed = code('ERR_QUEUE_CLOSED')
  for (const call of [queue.send(1), queue.sendMany([1]), queue.receive(), queue.receiveMany()]) await expect(call).rejects.toEqual(closed)
  for (const call of [() => queue.trySend(1), () => queue.sendSync(1), () => queue.tryReceive(), () => queue.receiveSync(),
    () => queue.drain(() => {}), () => queue.stats()]) expect(call).toThrow(closed)
  expect(await queue[Symbol.asyncIterator]().next()).toEqual({ value: undefined, done: true })
})

test('a listener that throws stops neither the process that catches that nor the messages after it', () => {
  const program = `
    const { Queue } = require(${JSON.stringify(path.join(__dirname, '..'))})
    const queue = new Queue()
    const found = []
    process.on('uncaughtException', error => found.push(error.message))
    queue.on('message', value => {
      found.push(value)
      if (value < 3) throw new Error('of the listener')
      console.log(JSON.stringify(found))
      queue.close()
    })
    queue.sendMany([1, 2]).then(() => setTimeout(() => queue.send(3), 20))`
  const found = JSON.parse(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 20_000 }))
  expect(found).toEqual([1, 'of the listener', 2, 'of the listener', 3])
})

test('a queue that is forgotten is collected, unless something waits for it', () => {
  const program = `
    const { Queue } = require(${JSON.stringify(path.join(__dirname, '..'))})
    let collected = 0
    const registry = new FinalizationRegistry(() => collected++)
    const tickets = []
    function forget (waits) {
      const queue = new Queue({ capacity: 512 })
      registry.register(queue)
      tickets.push(queue.ticket)
      queue.trySend('kept')
      queue.tryReceive()
      queue.drain(() => {})
      if (waits) queue.receive().then(value => console.log(value, collected))
    }
    for (let i = 0; i < 10; i++) forget(i === 0)
    const until = Date.now() + 10_000
    setTimeout(function look () {
      gc()
      if (collected < 9 && Date.now() < until) return setTimeout(look, 10)
      const sender = new Queue(tickets[0], { create: false })
      sender.send('arrived').then(() => sender.close())
    })`
  const said = execFileSync(process.execPath, ['--expose-gc', '-e', program], { encoding: 'utf8', timeout: 20_000 })
  expect(said).toBe('arrived 9\n')
})

test('a queue is disposed of by both kinds of using', async () => {
  const [one, two] = [make(), make()]
  one[Symbol.dispose ?? Symbol.for('Symbol.dispose')]()
  await two[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]()
  expect([one.closed, two.closed]).toEqual([true, true])
})

describe('a codec that ends the waiting of calls while one of them is served', () => {
  /** Two handles of one queue; `meanwhile` runs while the receiver decodes its next message. */
  const pair = () => {
    const during = { meanwhile: () => {} }
    const decode = bytes => {
      during.meanwhile()
      return JSON.parse(bytes)
    }
    const codec = { encode: value => JSON.stringify(value), decode }
    const to = make({ codec })
    return { to, from: make(to.ticket, { codec }), during }
  }

  test('its own: it has a message by then, and the next one gets the next', async () => {
    const { to, from, during } = pair()
    const controller = new AbortController()
    const first = to.receive({ signal: controller.signal })
    const second = to.receive()
    during.meanwhile = () => controller.abort()
    await from.send([1])
    expect(await first).toEqual([1])
    await from.send([2])
    expect(await second).toEqual([2])
  })

  test("another's: that one is rejected, all others get their message", async () => {
    const { to, from, during } = pair()
    const controllers = Array.from({ length: 5 }, () => new AbortController())
    const all = controllers.map(({ signal }) => to.receive({ signal }))
    during.meanwhile = () => [1, 3].forEach(index => controllers[index].abort())
    await from.sendMany([[1], [2], [3]])
    const results = await Promise.allSettled(all)
    expect(results.map(({ value, reason }) => value ?? reason.code)).toEqual([[1], 'ABORT_ERR', [2], 'ABORT_ERR', [3]])
  })

  test('by leaving a loop: the message that is decoded is received all the same', async () => {
    const { to, from, during } = pair()
    const iterator = to[Symbol.asyncIterator]()
    const [first, second] = [iterator.next(), iterator.next()]
    during.meanwhile = () => iterator.return()
    await from.send([1])
    expect(await first).toEqual({ value: [1], done: false })
    expect(await second).toEqual({ value: undefined, done: true })
  })

  test('by closing the queue: none of them waits for ever, and what is decoded is received all the same', async () => {
    const { to, from, during } = pair()
    const all = Promise.allSettled([to.receive(), to.receive(), to.receive()])
    during.meanwhile = () => to.close()
    await from.send([1])
    expect((await all).map(({ value, reason }) => value ?? reason.code)).toEqual([[1], 'ERR_QUEUE_CLOSED', 'ERR_QUEUE_CLOSED'])
  })
})
