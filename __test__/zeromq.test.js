'use strict'

// The API of version 6, as its users see it.

const { spawnSync } = require('node:child_process')
const { readdirSync } = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const zmq = require('../lib/zeromq')
const { Ends, address, until, delay } = require('./fixtures/zeromq-ends')

/** @type {Ends} */
let ends
beforeEach(() => { ends = new Ends() })
afterEach(() => ends.close())

const text = message => message.map(String)
const TRANSPORTS = ['tcp', 'ipc', 'inproc']

async function pair (transport, First, Second, options) {
  const first = ends.make(First, options)
  const second = ends.make(Second, options)
  await first.bind(address(transport))
  second.connect(first.lastEndpoint)
  return [first, second]
}

/** An endpoint that nobody uses, and that can be connected to before it is bound. */
function free (transport) {
  if (transport !== 'tcp') return address(transport)
  const scout = ends.make(zmq.Pull)
  scout.bindSync(address('tcp'))
  scout.close()
  return scout.lastEndpoint
}

describe.each(TRANSPORTS)('over %s', transport => {
  test('100 000 messages arrive in order, awaited and in batches', async () => {
    const [pull, push] = await pair(transport, zmq.Pull, zmq.Push)
    const send = async () => {
      for (let i = 0; i < 50_000; i++) await push.send(String(i))
      for (let i = 50_000; i < 100_000; i += 1000) await push.sendMany(Array.from({ length: 1000 }, (_, k) => String(i + k)))
    }
    const sent = send()
    let next = 0
    for await (const [message] of pull) {
      if (String(message) !== String(next)) throw new Error(`${message} in place of ${next}`)
      if (++next === 50_000) break
    }
    while (next < 100_000) {
      for (const [message] of await pull.receiveMany()) {
        if (String(message) !== String(next++)) throw new Error(`${message} in place of ${next - 1}`)
      }
    }
    await sent
  })

  test('everything that can be sent arrives as bytes', async () => {
    const [a, b] = await pair(transport, zmq.Pair, zmq.Pair)
    const odd = 'é€😀'
    const cases = [
      ['', ''], ['text', 'text'], [odd, odd], [odd.repeat(100), odd.repeat(100)], ['x'.repeat(100_000), 'x'.repeat(100_000)],
      [null, ''], [12.5, '12.5'], [true, 'true'], [Buffer.from('buffer'), 'buffer'], [new Uint16Array([0x4241, 0x4443]), 'ABCD'],
      [new Uint8Array([65, 66]).buffer, 'AB'], [new DataView(new Uint8Array([65, 66, 67]).buffer, 1), 'BC'],
      [new Uint8Array(new SharedArrayBuffer(2)).fill(65), 'AA'], [Object.assign(new SharedArrayBuffer(1)), '\0']
    ]
    for (const [sent, received] of cases) {
      await a.send([sent, sent])
      expect(text(await b.receive())).toEqual([received, received])
    }
    const long = Buffer.alloc(5_000_000, 'long ')
    await a.send([long, 'end'])
    const [first, last] = await b.receive()
    expect(first.equals(long)).toBe(true)
    expect(String(last)).toBe('end')
  })

  test('a message sent before its peer is there arrives', async () => {
    const where = free(transport)
    const push = ends.make(zmq.Push)
    push.connect(where)
    await push.send('early')
    const pull = ends.make(zmq.Pull)
    await pull.bind(where)
    expect(text(await pull.receive())).toEqual(['early'])
  })

  test('the mark of an unconnected socket is exact', async () => {
    const push = ends.make(zmq.Push, { sendHighWaterMark: 3, sendTimeout: 20 })
    push.connect(transport === 'tcp' ? 'tcp://127.0.0.1:1' : address(transport))
    for (let i = 0; i < 3; i++) await push.send('x')
    expect(push.writable).toBe(false)
    await expect(push.send('x')).rejects.toMatchObject({ code: 'EAGAIN', message: 'Operation was not possible or timed out' })
  })

  test('requests are answered, and nobody speaks out of turn', async () => {
    const [rep, req] = await pair(transport, zmq.Reply, zmq.Request, { sendTimeout: 20, receiveTimeout: 2000 })
    await expect(rep.send('x')).rejects.toMatchObject({ code: 'EFSM' })
    await req.send('question')
    expect(req.writable).toBe(false)
    await expect(req.send('x')).rejects.toMatchObject({ code: 'EFSM', message: 'Operation cannot be accomplished in current state' })
    expect(text(await rep.receive())).toEqual(['question'])
    await rep.send(['answer', '!'])
    expect(text(await req.receive())).toEqual(['answer', '!'])
    await req.send('again')
  })

  test('iterating ends when the socket is closed', async () => {
    const [pull, push] = await pair(transport, zmq.Pull, zmq.Push)
    setTimeout(() => push.send('last'), 10)
    setTimeout(() => pull.close(), 60)
    const all = []
    for await (const [message] of pull) all.push(String(message))
    expect(all).toEqual(['last'])
  })
})

describe('errors', () => {
  test('one operation at a time', async () => {
    const pair = ends.make(zmq.Pair)
    const [sending, receiving] = [pair.send('x'), pair.receive()]
    expect(() => pair.send('y')).toThrow('Socket is busy writing; only one send operation may be in progress at any time')
    expect(() => pair.receive()).toThrow(expect.objectContaining({ code: 'EBUSY', errno: 16 }))
    pair.close()
    await expect(sending).rejects.toMatchObject({ code: 'EAGAIN' })
    await expect(receiving).rejects.toMatchObject({ code: 'EAGAIN' })
    expect(() => pair.send('z')).toThrow(expect.objectContaining({ code: 'EBADF', message: 'Socket is closed' }))
    expect(pair).toMatchObject({ closed: true, readable: false, writable: false })
  })

  test('time-outs', async () => {
    const pull = ends.make(zmq.Pull, { receiveTimeout: 0 })
    await expect(pull.receive()).rejects.toMatchObject({ code: 'EAGAIN' })
    pull.receiveTimeout = 10
    await expect(pull.receive()).rejects.toMatchObject({ code: 'EAGAIN' })
    const push = ends.make(zmq.Push, { sendTimeout: 0 })
    await expect(push.send('x')).rejects.toMatchObject({ code: 'EAGAIN' })
  })

  test.each([
    ['foo-bar', 'EINVAL', 'Invalid argument'],
    ['foo://bar', 'EPROTONOSUPPORT', 'Protocol not supported'],
    ['tcp://127.0.0.1:99999', 'EINVAL', 'Invalid argument'],
    ['tcp://no.such.interface:1', 'ENODEV', 'No such device'],
    ['ipc:///no/such/folder/socket', 'ENOENT', 'No such endpoint']
  ])('binding to %s', async (where, code, message) => {
    const pull = ends.make(zmq.Pull)
    await expect(pull.bind(where)).rejects.toMatchObject({ code, message, address: where })
    expect(() => pull.bindSync(where)).toThrow(expect.objectContaining({ code, address: where }))
  })

  test('an address that is taken, or not ours', async () => {
    const [first, second] = [ends.make(zmq.Pull), ends.make(zmq.Pull)]
    for (const transport of TRANSPORTS) {
      await first.bind(address(transport))
      const where = first.lastEndpoint
      await expect(second.bind(where)).rejects.toMatchObject({ code: 'EADDRINUSE', message: 'Address already in use', address: where })
      await expect(second.unbind(where)).rejects.toMatchObject({ code: 'ENOENT', address: where })
      expect(() => second.disconnect(where)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
      first.unbindSync(where)
    }
  })

  test('options are checked, and unknown ones refused', () => {
    expect(() => ends.make(zmq.Push, { lingre: 1 })).toThrow('Cannot add property lingre, object is not extensible')
    expect(() => ends.make(zmq.Push, { linger: 'long' })).toThrow('Option value must be a number')
    expect(() => ends.make(zmq.Push, { lastEndpoint: 'x' })).toThrow('which has only a getter')
    expect(() => ends.make(zmq.Push, { sendHighWaterMark: -1 })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect(() => new zmq.Push({ context: {} })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect('receive' in zmq.Push.prototype).toBe(false)
    expect('send' in zmq.Subscriber.prototype).toBe(false)
  })

  test.each([['plainServer', true], ['zapDomain', 'x'], ['socksProxy', 'x']])('%s is not there yet, and says so', (option, value) => {
    const push = ends.make(zmq.Push, { [option]: value })
    expect(push[option]).toBe(value)
    expect(() => push.connect('tcp://127.0.0.1:1')).toThrow(expect.objectContaining({ code: 'ERR_NOT_SUPPORTED' }))
    expect(() => push.bindSync('tcp://127.0.0.1:*')).toThrow(option)
  })
})

test('a part that cannot be made a text leaves nothing of its message behind', async () => {
  const [push, pull] = await pair('tcp', zmq.Push, zmq.Pull)
  const evil = { toString () { throw new Error('no text') } }
  const between = []
  const busy = { toString: () => String(between.push(push.send('between'))) }
  const send = async message => push.send(message)
  await expect(send(['begun', evil])).rejects.toThrow('no text')
  await expect(send(evil)).rejects.toThrow('no text')
  await send(['whole', busy])
  await Promise.all(between)
  expect(text(await pull.receive())).toEqual(['between'])
  expect(text(await pull.receive())).toEqual(['whole', '1'])
})

test('a router sends to whom it names, and hears of who is not there', async () => {
  const router = ends.make(zmq.Router, { mandatory: true })
  await router.bind(address('tcp'))
  const dealers = ['one', 'two'].map(routingId => ends.make(zmq.Dealer, { routingId }))
  for (const dealer of dealers) {
    dealer.connect(router.lastEndpoint)
    await dealer.send('hello')
    expect(text(await router.receive())).toEqual([dealer.routingId, 'hello'])
  }
  await router.send(['two', 'for', 'you'])
  expect(text(await dealers[1].receive())).toEqual(['for', 'you'])
  await expect(router.send(['three', 'x'])).rejects.toMatchObject({ code: 'EHOSTUNREACH', message: 'Host unreachable' })
})

test('sendMany that is overtaken by close says so, and what it had queued is delivered', async () => {
  const [pull, push] = await pair('tcp', zmq.Pull, zmq.Push)
  push.linger = -1
  const sending = push.sendMany(Array.from({ length: 100_000 }, (_, i) => String(i)))
  setImmediate(() => push.close())
  await expect(sending).rejects.toMatchObject({ code: expect.stringMatching(/EBADF|EAGAIN/) })
  await until(() => pull.readable)
  expect(text(await pull.receive())).toEqual(['0'])
})

test('conflating sockets hand over the newest message only', async () => {
  const [pull, push] = await pair('tcp', zmq.Pull, zmq.Push, { conflate: true })
  for (let i = 0; i < 1000; i++) await push.send(String(i))
  await delay(100)
  expect(text(await pull.receive())).toEqual(['999'])
})

test('what is kept of a message stays as it was', async () => {
  const [pull, push] = await pair('tcp', zmq.Pull, zmq.Push)
  const kept = []
  for (let i = 0; i < 20_000; i++) {
    await push.send(`message ${i}`)
    if (i % 500 === 499) while (kept.length <= i) kept.push(...(await pull.receiveMany()).map(message => message[0]))
  }
  kept.forEach((message, i) => { if (String(message) !== `message ${i}`) throw new Error(`${message} in place of ${i}`) })
})

test('messages queued behind a closed socket are delivered', async () => {
  const pull = ends.make(zmq.Pull)
  await pull.bind(address('tcp'))
  const push = new zmq.Push()
  push.connect(pull.lastEndpoint)
  for (let i = 0; i < 500; i++) await push.send(Buffer.alloc(10_000, i))
  push.close()
  for (let i = 0; i < 500; i++) expect((await pull.receive())[0][0]).toBe(i % 256)
})

test('events tell of a connection’s life', async () => {
  const [pull, push] = [ends.make(zmq.Pull), ends.make(zmq.Push)]
  const seen = []
  const read = async () => { for await (const event of pull.events) seen.push(event) }
  const reading = read()
  await pull.bind(address('tcp'))
  const where = pull.lastEndpoint
  push.connect(where)
  await until(() => seen.some(event => event.type === 'handshake'))
  push.close()
  await until(() => seen.some(event => event.type === 'disconnect'))
  pull.close()
  await reading
  expect(seen.map(event => event.type)).toEqual(['bind', 'accept', 'handshake', 'disconnect', 'close', 'end'])
  expect(seen.slice(0, 5).every(event => event.address === where)).toBe(true)
})

// As libzmq tells it.
test('a peer that leaves amid the handshake was accepted, failed and is disconnected', async () => {
  const pull = ends.make(zmq.Pull)
  const seen = []
  const read = async () => { for await (const { type } of pull.events) seen.push(type) }
  const reading = read()
  await pull.bind(address('tcp'))
  const peer = net.connect(Number(pull.lastEndpoint.split(':').pop()), '127.0.0.1')
  await until(() => seen.includes('accept'))
  peer.destroy()
  await until(() => seen.includes('disconnect'))
  pull.close()
  await reading
  expect(seen).toEqual(['bind', 'accept', 'handshake:error:other', 'disconnect', 'close', 'end'])
})

test('worker threads reach each other by inproc', async () => {
  const where = address('inproc')
  const pull = ends.make(zmq.Pull)
  await pull.bind(where)
  const source = `
    const { workerData: [library, where] } = require('node:worker_threads')
    const zmq = require(library)
    const push = new zmq.Push()
    push.connect(where)
    const run = async () => { for (let i = 0; i < 5000; i++) await push.send(String(i)); push.close() }
    run()`
  const worker = new Worker(source, { eval: true, workerData: [path.join(__dirname, '../lib/zeromq'), where] })
  const exited = new Promise(resolve => worker.once('exit', resolve))
  for (let i = 0; i < 5000; i++) expect(String((await pull.receive())[0])).toBe(String(i))
  await exited
})

test('workers that are stopped in the midst of it leave the others alone, and no descriptor', async () => {
  const descriptors = () => process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0
  const counts = []
  const pull = ends.make(zmq.Pull)
  await pull.bind(address('tcp'))
  const source = `
    const { workerData: [library, where] } = require('node:worker_threads')
    const zmq = require(library)
    const push = new zmq.Push()
    const rep = new zmq.Reply()
    for (const transport of ['tcp://127.0.0.1:*', 'ipc://*']) rep.bindSync(transport)
    rep.receive()
    push.connect(where)
    const run = async () => { for (;;) await push.send('x') }
    run()`
  for (let i = 0; i < 10; i++) {
    const worker = new Worker(source, { eval: true, workerData: [path.join(__dirname, '../lib/zeromq'), pull.lastEndpoint] })
    for (let n = 0; n < 1000; n++) await pull.receive()
    await worker.terminate()
    counts.push(descriptors())
  }
  expect(counts.at(-1) - counts[1]).toBeLessThan(3)
  const push = ends.make(zmq.Push)
  push.connect(pull.lastEndpoint)
  await push.send('still here')
  for (let message; message !== 'still here';) message = String((await pull.receive())[0])
})

test('there are no more sockets than the context allows', async () => {
  const context = new zmq.Context({ maxSockets: 2 })
  ends.make(zmq.Pull, { context })
  const second = ends.make(zmq.Pull, { context })
  expect(() => new zmq.Pull({ context })).toThrow(expect.objectContaining({ code: 'EMFILE', message: 'Too many open file descriptors' }))
  second.close()
  await until(() => !second.isLingering)
  expect(() => ends.make(zmq.Pull, { context })).not.toThrow()
})

describe('the end of the process', () => {
  const run = source => spawnSync(process.execPath, ['-e', `const zmq = require(${JSON.stringify(path.join(__dirname, '../lib/zeromq'))}); ${source}`], {
    encoding: 'utf8', timeout: 10_000
  })

  test.each([
    ['sockets that are idle', "new zmq.Dealer().connect('tcp://127.0.0.1:1'); new zmq.Pull().bindSync('tcp://127.0.0.1:*')"],
    ['a message that lingers for a moment', "const push = new zmq.Push({ linger: 50 }); push.connect('tcp://127.0.0.1:1'); push.send('x')"],
    ['a publisher with nobody there', "const pub = new zmq.Publisher(); pub.connect('tcp://127.0.0.1:1'); pub.send('x')"]
  ])('does not wait for %s', (_, source) => {
    expect(run(source)).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  test('waits for what was sent', () => {
    const source = `
      const pull = new zmq.Pull(), push = new zmq.Push()
      pull.bindSync('tcp://127.0.0.1:*')
      push.connect(pull.lastEndpoint)
      pull.receive().then(([message]) => console.log(String(message)))
      push.send('delivered')`
    expect(run(source)).toMatchObject({ status: 0, stdout: 'delivered\n', stderr: '' })
  })
})
