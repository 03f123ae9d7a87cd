'use strict'

// Peers that mean harm, or are something else: only their own connection ends, and the others do not notice.

const net = require('node:net')
const zmq = require('../lib/zeromq')
const { Ends, address, until, delay } = require('./fixtures/zeromq-ends')

/** @type {Ends} */
let ends
beforeEach(() => { ends = new Ends() })
afterEach(() => ends.close())

const text = message => message.map(String)

const greeting = ({ major = 3, minor = 1, mechanism = 'NULL' } = {}) => {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = major
  bytes[11] = minor
  bytes.write(mechanism, 12, 'latin1')
  return bytes
}
const frame = (flags, body) => Buffer.concat([Buffer.from([flags, body.length]), body])
const ready = type => frame(4, Buffer.concat([
  Buffer.from('\u0005READY\u000bSocket-Type', 'latin1'), Buffer.from([0, 0, 0, type.length]), Buffer.from(type)
]))
const hello = type => Buffer.concat([greeting(), ready(type)])
const huge = Buffer.from([2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])

/** A raw connection to a socket: what it got, and whether it was ended. */
function connect (endpoint) {
  const raw = net.connect(Number(endpoint.split(':')[2]), '127.0.0.1')
  ends.later(() => raw.destroy())
  const seen = { raw, got: Buffer.alloc(0), closed: false }
  raw.on('data', data => { seen.got = Buffer.concat([seen.got, data]) })
  raw.on('error', () => {}) // 'close' follows.
  raw.on('close', () => { seen.closed = true })
  return seen
}

/** A PULL, and a good PUSH at work on it while `attack` goes on. */
async function beside (attack, options) {
  const pull = ends.make(zmq.Pull, options)
  await pull.bind(address('tcp'))
  const push = ends.make(zmq.Push)
  push.connect(pull.lastEndpoint)
  await push.send('before')
  expect(text(await pull.receive())).toEqual(['before'])
  await attack(pull)
  await push.send('after')
  expect(text(await pull.receive())).toEqual(['after'])
}

const BAD = {
  'bytes of another protocol': 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'ZMTP 1.0': Buffer.from([1, 0, 3, 0, 0x78, 0x79]),
  'ZMTP 2.0': Buffer.concat([greeting({ major: 1, minor: 0 }).subarray(0, 11), Buffer.from([8, 0, 0])]),
  'another mechanism': greeting({ mechanism: 'CURVE' }),
  'a mechanism that nobody has': greeting({ mechanism: 'X'.repeat(20) }),
  'a socket type that does not fit': hello('REQ'),
  'a socket type that nobody has': hello('STREAM'),
  'a message before READY': Buffer.concat([greeting(), frame(0, Buffer.from('early'))]),
  'READY with garbage in it': Buffer.concat([greeting(), frame(4, Buffer.from('\u0005READY\u00ff\u00ff\u00ff', 'latin1'))]),
  'an ERROR': Buffer.concat([greeting(), frame(4, Buffer.from('\u0005ERROR\u0003bad', 'latin1'))]),
  'reserved flags': Buffer.concat([hello('PUSH'), Buffer.from([0x80, 1, 0])]),
  'a command that says more follows': Buffer.concat([hello('PUSH'), Buffer.from([5, 1, 0])]),
  'a frame of 2^63 bytes': Buffer.concat([hello('PUSH'), Buffer.from([2, 0x80, 0, 0, 0, 0, 0, 0, 0])]),
  'a command of 2^62 bytes': Buffer.concat([hello('PUSH'), Buffer.from([6, 0x40, 0, 0, 0, 0, 0, 0, 0])]),
  'a frame of 2^62 bytes': Buffer.concat([hello('PUSH'), Buffer.from([2, 0x40, 0, 0, 0, 0, 0, 0, 0])]),
  'a part of 4 GiB': Buffer.concat([hello('PUSH'), Buffer.from([3, 0, 0, 0, 1, 0, 0, 0, 0])]),
  'an unknown command': Buffer.concat([hello('PUSH'), frame(4, Buffer.from('\u0008WHATEVER'))]),
  'a second READY': Buffer.concat([hello('PUSH'), ready('PUSH')]),
  'parts without end': Buffer.concat([hello('PUSH'), Buffer.alloc(2 * 2 ** 20, Buffer.from([1, 0])), frame(1, Buffer.alloc(0))]),
  'a PING without a time to live': Buffer.concat([hello('PUSH'), frame(4, Buffer.from('\u0004PING'))])
}

test.each(Object.keys(BAD))('%s ends that connection', async name => {
  await beside(async pull => {
    const bad = connect(pull.lastEndpoint)
    bad.raw.write(BAD[name])
    await until(() => bad.closed)
  })
})

test('what came before an unknown command arrives, and events tell of the end', async () => {
  await beside(async pull => {
    const ended = new Promise(resolve => pull.events.on('disconnect', resolve))
    const odd = connect(pull.lastEndpoint)
    odd.raw.write(Buffer.concat([hello('PUSH'), frame(0, Buffer.from('odd')), frame(4, Buffer.from('\u0008WHATEVER'))]))
    expect(text(await pull.receive())).toEqual(['odd'])
    expect(await ended).toMatchObject({ type: 'disconnect', address: pull.lastEndpoint })
    await until(() => odd.closed)
  })
})

test('commands that mean nothing to this type are nothing to worry about', async () => {
  await beside(async pull => {
    const peer = connect(pull.lastEndpoint)
    const commands = ['\u0004PONG', '\u0009SUBSCRIBEa', '\u0006CANCELa', '\u0004JOINa', '\u0005LEAVEa'].map(body => frame(4, Buffer.from(body)))
    peer.raw.write(Buffer.concat([hello('PUSH'), ...commands, frame(0, Buffer.from('fine'))]))
    expect(text(await pull.receive())).toEqual(['fine'])
    expect(peer.closed).toBe(false)
  })
})

test('an announced length takes no memory', async () => {
  await beside(async pull => {
    const before = process.memoryUsage().rss
    const liars = Array.from({ length: 20 }, () => connect(pull.lastEndpoint))
    for (const { raw } of liars) raw.write(Buffer.concat([hello('PUSH'), huge, Buffer.alloc(1000)]))
    await delay(200)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20)
    expect(liars.some(liar => liar.closed)).toBe(false)
  })
})

test('with maxMessageSize such a length ends the connection', async () => {
  await beside(async pull => {
    const liar = connect(pull.lastEndpoint)
    liar.raw.write(Buffer.concat([hello('PUSH'), huge]))
    const many = connect(pull.lastEndpoint)
    many.raw.write(Buffer.concat([hello('PUSH'), frame(1, Buffer.alloc(60)), frame(1, Buffer.alloc(60))]))
    await until(() => liar.closed && many.closed)
  }, { maxMessageSize: 100 })
})

test('a peer that does not finish its handshake is sent away', async () => {
  await beside(async pull => {
    const slow = connect(pull.lastEndpoint)
    const bytes = hello('PUSH')
    let sent = 0
    const timer = setInterval(() => { if (!slow.closed) slow.raw.write(bytes.subarray(sent, ++sent)) }, 20)
    ends.later(() => clearInterval(timer))
    await until(() => slow.closed)
    expect(sent).toBeLessThan(bytes.length)
  }, { handshakeInterval: 200 })
})

test('with heartbeats a peer that says nothing any more is let go of', async () => {
  await beside(async pull => {
    const silent = connect(pull.lastEndpoint)
    silent.raw.write(hello('PUSH')) // It answers no PING.
    await until(() => silent.closed)
    expect(silent.got.includes('PING')).toBe(true)
  }, { heartbeatInterval: 50, heartbeatTimeout: 100 })
})

test('a message that is cut off is thrown away whole', async () => {
  await beside(async pull => {
    const cut = connect(pull.lastEndpoint)
    cut.raw.write(Buffer.concat([hello('PUSH'), frame(0, Buffer.from('whole')), frame(1, Buffer.from('first')), frame(0, Buffer.from('x')).subarray(0, 2)]))
    expect(text(await pull.receive())).toEqual(['whole'])
    cut.raw.end()
    await until(() => cut.closed)
  })
})

test('a message that comes byte by byte arrives', async () => {
  await beside(async pull => {
    const slow = connect(pull.lastEndpoint)
    slow.raw.setNoDelay(true)
    for (const byte of Buffer.concat([hello('PUSH'), frame(1, Buffer.from('a')), frame(0, Buffer.from('bc'))])) {
      slow.raw.write(Buffer.from([byte]))
      await delay(1)
    }
    expect(text(await pull.receive())).toEqual(['a', 'bc'])
  })
})

test('who does not read stops neither a publisher nor its other subscribers', async () => {
  const pub = ends.make(zmq.Publisher, { sendHighWaterMark: 10 })
  await pub.bind(address('tcp'))
  const deaf = connect(pub.lastEndpoint)
  deaf.raw.write(Buffer.concat([hello('SUB'), frame(4, Buffer.from('\u0009SUBSCRIBE'))]))
  await until(() => deaf.got.length > 64)
  deaf.raw.pause()
  const sub = ends.make(zmq.Subscriber)
  sub.subscribe()
  sub.connect(pub.lastEndpoint)
  await delay(100)
  const body = Buffer.alloc(100_000)
  for (let i = 0; i < 200; i++) {
    await pub.send([String(i), body])
    expect(String((await sub.receive())[0])).toBe(String(i))
  }
})

test('a peer that asks and asks without reading takes no memory', async () => {
  await beside(async pull => {
    const before = process.memoryUsage().rss
    const asker = connect(pull.lastEndpoint)
    asker.raw.write(hello('PUSH'))
    await until(() => asker.got.length > 64)
    asker.raw.pause()
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(4, Buffer.from('\u0004PING\0\0sixteen bytes ok', 'latin1'))))
    for (let i = 0; i < 50; i++) {
      await Promise.race([new Promise(resolve => asker.raw.write(pings, resolve)), delay(100)])
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 2 ** 20)
  })
})

test('a subscriber has its bound', async () => {
  const pub = ends.make(zmq.Publisher)
  await pub.bind(address('tcp'))
  const greedy = connect(pub.lastEndpoint)
  greedy.raw.write(hello('SUB'))
  const long = (/** @type {number} */ n) => {
    const body = Buffer.concat([Buffer.from('\u0009SUBSCRIBE'), Buffer.alloc(1_000_000, n)])
    const header = Buffer.alloc(9)
    header[0] = 6
    header.writeUInt32BE(body.length, 5)
    return Buffer.concat([header, body])
  }
  for (let i = 0; i < 18; i++) greedy.raw.write(long(i))
  await until(() => greedy.closed)
  const sub = ends.make(zmq.Subscriber)
  sub.subscribe('fine')
  sub.connect(pub.lastEndpoint)
  await delay(100)
  await pub.send('fine')
  expect(text(await sub.receive())).toEqual(['fine'])
})

test('a server that talks nonsense is tried again, and the others are used meanwhile', async () => {
  const push = ends.make(zmq.Push, { reconnectInterval: 10 })
  let visits = 0
  const server = net.createServer(raw => {
    visits++
    raw.on('error', () => {}).end('SSH-2.0-OpenSSH_9.6\r\n')
  }).listen(0, '127.0.0.1')
  ends.later(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  push.connect(`tcp://127.0.0.1:${server.address().port}`)
  await until(() => visits > 2)
  const pull = ends.make(zmq.Pull)
  await pull.bind(address('tcp'))
  push.connect(pull.lastEndpoint)
  const got = pull.receive()
  for (let i = 0; i < 3; i++) await push.send('x')
  expect(text(await got)).toEqual(['x'])
})
