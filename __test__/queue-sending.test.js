'use strict'

// Sending: order, values whose own code sends, and waiting without descriptors.

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { Queue, Topic } = require('..')

const open = []
const opened = endpoint => {
  open.push(endpoint)
  return endpoint
}
afterEach(() => open.splice(0).forEach(endpoint => endpoint.close()))

const unique = what => `${what} ${process.pid} ${Math.random()}`

/** Fills it up, so that one more message of that length must wait. */
function fill (send, text) {
  let count = 0
  while (send(text)) count++
  return count
}

/** All that is there. */
function all (receiver) {
  const found = []
  for (let message = receiver.tryReceive(); message !== undefined; message = receiver.tryReceive()) found.push(message)
  return found
}

/** A topic with a subscriber that misses nothing, as something that sends and something that receives. */
function topicPair (options) {
  const topic = opened(new Topic(unique('sending'), options))
  const subscription = opened(topic.subscribe())
  return {
    send: value => topic.publish(value),
    trySend: value => topic.tryPublish(value),
    sendMany: values => topic.publishMany(values),
    sendSync: (value, options) => topic.publishSync(value, options),
    receiver: subscription
  }
}

function queuePair (options) {
  const name = unique('sending')
  const queue = opened(new Queue(name, options))
  const receiver = opened(new Queue(name, options))
  return {
    send: value => queue.send(value),
    trySend: value => queue.trySend(value),
    sendMany: values => queue.sendMany(values),
    sendSync: (value, options) => queue.sendSync(value, options),
    receiver
  }
}

describe.each([['queue', queuePair], ['topic', topicPair]])('a %s', (_what, pair) => {
  const padded = i => ({ i, pad: 'x'.repeat(40) })
  const numbers = messages => messages.map(message => message.i ?? message)

  test.each(['trySend', 'send', 'sendMany', 'sendSync'])('that a value of sendMany sends to with %s gets each message once', async how => {
    const { receiver, sendMany, ...calls } = pair({ capacity: 4096 })
    let inner = 0
    const own = {
      toJSON () {
        inner++
        if (how === 'sendMany') sendMany(['inner', 'inner'])
        else calls[how]('inner')
        return padded('own')
      }
    }
    await sendMany([padded(0), padded(1), own, padded(2), padded(3)])
    const found = numbers(all(receiver))
    expect(found.filter(one => one !== 'inner')).toEqual([0, 1, 'own', 2, 3])
    expect(found.filter(one => one === 'inner')).toHaveLength(how === 'sendMany' ? 2 : 1)
    expect(inner).toBe(1)
  })

  test('loses none of a sendMany whose value sends while it is full, and then there is room', async () => {
    const { receiver, sendMany, trySend } = pair({ capacity: 512 })
    const found = []
    fill(trySend, 'f'.repeat(60))
    found.push(...all(receiver).map(() => 'f'))
    const sent = Array.from({ length: 6 }, (_, i) => padded(i))
    let times = 0
    let went = 0
    const last = {
      toJSON () {
        times++
        if (trySend('inner' + 'y'.repeat(40))) went++
        found.push(...all(receiver))
        return padded('last')
      }
    }
    const sending = sendMany([...sent, last])
    let done = false
    sending.then(() => { done = true })
    while (!done) {
      found.push(...all(receiver))
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    found.push(...all(receiver))
    const own = found.filter(one => typeof one === 'object')
    expect(numbers(own)).toEqual([0, 1, 2, 3, 4, 5, 'last'])
    expect(found.filter(one => typeof one === 'string' && one.startsWith('inner'))).toHaveLength(went)
    expect(times).toBeGreaterThan(0)
  })

  test('keeps the order of one sender, also when a call that blocks comes after calls that wait', async () => {
    const { receiver, send, sendMany, sendSync, trySend } = pair({ capacity: 512 })
    fill(trySend, 'f'.repeat(60))
    const waiting = [send('a'), sendMany(['b', 'c'])]
    all(receiver)
    expect(sendSync('d', { timeout: 10_000 })).toBe(true)
    expect(all(receiver)).toEqual(['a', 'b', 'c', 'd'])
    await Promise.all(waiting)
    expect(await Promise.all([send('e')])).toEqual([undefined])
    expect(all(receiver)).toEqual(['e'])
  })

  test('blocks for those that wait no longer than the timeout', async () => {
    const { receiver, send, sendMany, sendSync, trySend } = pair({ capacity: 512 })
    const full = fill(trySend, 'f'.repeat(60))
    const waiting = [send('a'.repeat(60)), sendMany(['b'.repeat(60), 'c'.repeat(60)])]
    expect(sendSync('d'.repeat(60), { timeout: 20 })).toBe(false)
    expect(sendSync('d'.repeat(60), { timeout: 0 })).toBe(false)
    const found = []
    while (found.length < full + 3) {
      found.push(...all(receiver).map(message => message[0]))
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    await Promise.all(waiting)
    expect(found.join('')).toBe('f'.repeat(full) + 'abc')
    expect(all(receiver)).toEqual([])
  })

  test('sends the bytes of any view that a codec gives', () => {
    let view
    const { receiver, trySend } = pair({ codec: { encode: () => view, decode: bytes => [...bytes] } })
    for (view of [new Uint16Array([1, 2, 300]), new DataView(new Uint8Array([1, 2, 3]).buffer, 1), Buffer.from('ab'), new Float64Array(0)]) {
      expect(trySend({})).toBe(true)
      expect(receiver.tryReceive()).toEqual([...Buffer.from(view.buffer, view.byteOffset, view.byteLength)])
    }
    view = 7
    expect(() => trySend({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })
})

test('half of a surrogate pair in a text arrives as U+FFFD, small and large', async () => {
  const queue = opened(new Queue({ capacity: 4096 }))
  for (const text of ['a\ud800b', 'a\ud800b'.repeat(1000)]) {
    await queue.send(text)
    expect(await queue.receive()).toBe(text.replaceAll('\ud800', '\ufffd'))
  }
})

test('sendMany says how many went before one that cannot be sent, also where it did not fit at first', async () => {
  const queue = opened(new Queue({ capacity: 4096 }))
  let calls = 0
  const value = {
    toJSON () {
      if (++calls > 1) throw new Error('not again')
      return 'x'.repeat(100_000)
    }
  }
  const error = await queue.sendMany(['a', value, 'b']).catch(error => error)
  expect([error.message, error.sent]).toEqual(['not again', 1])
  expect(all(queue)).toEqual(['a'])
})

describe('without descriptors', () => {
  const run = name => spawnSync(process.execPath, [path.join(__dirname, 'fixtures', 'queue-no-descriptors.js'), name], { encoding: 'utf8', timeout: 20_000 })

  test('a receive that could not wait has left: the next one gets the first message', () => {
    const { stdout, stderr } = run('receive')
    expect(stdout + stderr).toBe('refused EMFILE\nreceived one two\n')
  })

  test('a send that could not wait has left: it sends nothing later on', () => {
    const { stdout, stderr } = run('send')
    expect(stdout + stderr).toBe('refused EMFILE\nreceived second\n')
  })

  test('a listener gets its messages all the same, and with descriptors as ever', () => {
    const { stdout, stderr } = run('listen')
    expect(stdout + stderr).toBe('heard one\nheard two\nclosed\n')
  })

  test('a listener that does not hold the process lets it end', () => {
    const { stdout, stderr, status } = run('unref')
    expect([stdout + stderr, status]).toEqual(['ends\n', 0])
  })
})
