'use strict'

// `wait`, `waitAsync` and `notify` of one thread, next to those of Atomics.

const { SharedBuffer, wait, waitAsync, notify } = require('../lib')
const { list } = require('../lib/shared')
const { child, endAll, name } = require('./fixtures/locks-support')

afterEach(endAll)

const ours = { wait, waitAsync, notify }

/** What a call gives or throws. The words are 0. */
function outcome (functions, call, words, args) {
  try {
    const result = functions[call](words, ...args)
    if (result.async) functions.notify(words, 0)
    return result.async ? 'waits' : result.value ?? result
  } catch (error) {
    // Ours are subclasses with codes.
    return [TypeError, RangeError, SyntaxError].find(Kind => error instanceof Kind)?.name ?? error
  }
}

describe('takes the arguments that Atomics takes', () => {
  const object = value => ({ valueOf: () => value })
  const odd = [NaN, '0', '1', 'x', null, undefined, true, 0n, 1n, Symbol('s'), {}, [], object(0), object(0n)]
  const values = [0, 1, -0, 2 ** 32, -1n, 2n ** 64n, ...odd]
  const places = [0, 1, 3, 4, -1, -0.5, 1.9, Infinity, 2 ** 53, ...odd]
  const times = [0, 1, -1, -Infinity, '1', true, 0n, 1n, Symbol('s'), object(1), object(1n)]
  const counts = [0, 1, -1, 2 ** 40, Infinity, ...odd]
  const cases = [
    ...values.flatMap(value => [['wait', [0, value, 0]], ['waitAsync', [0, value, 0]], ['waitAsync', [0, value, 10_000]]]),
    ...[0, 0n].flatMap(zero => places.flatMap(place => [['wait', [place, zero, 0]], ['notify', [place]]])),
    ...[0, 0n].flatMap(zero => times.map(time => ['wait', [0, zero, time]])),
    // Another value: it would wait for ever.
    ...[1, 1n].flatMap(one => [...times, ...odd].map(time => ['wait', [0, one, time]])),
    ...counts.map(count => ['notify', [0, count]])
  ]

  test.each([['Int32Array', Int32Array], ['BigInt64Array', BigInt64Array]])('%s', (_name, View) => {
    const buffer = SharedBuffer.alloc(4 * View.BYTES_PER_ELEMENT)
    const words = new View(buffer.buffer)
    const peer = new View(new SharedArrayBuffer(4 * View.BYTES_PER_ELEMENT))
    const results = cases.map(([call, args]) => [call, args, outcome(ours, call, words, args)])
    expect(results).toEqual(cases.map(([call, args]) => [call, args, outcome(Atomics, call, peer, args)]))
    expect(results.map(([,, result]) => result)).toEqual(expect.arrayContaining(['TypeError', 'RangeError', 'timed-out', 'not-equal', 'waits', 0]))
    buffer.close()
  })

  test('of nothing else than words', () => {
    for (const words of [new Uint8Array(8), new Uint32Array(2), new Float64Array(1), {}, null, undefined, 7]) {
      for (const call of Object.keys(ours)) expect(() => ours[call](words, 0, 0, 0)).toThrow(TypeError)
    }
  })

  test('in their order', () => {
    const read = []
    const zero = name => ({ valueOf: () => read.push(name) * 0 })
    const buffer = SharedBuffer.alloc(8)
    wait(new Int32Array(buffer.buffer), zero('index'), zero('value'), zero('timeout'))
    notify(new Int32Array(buffer.buffer), zero('index'), zero('count'))
    expect(read).toEqual(['index', 'value', 'timeout', 'index', 'count'])
    buffer.close()
  })
})

test('a timeout may be as long as one likes', async () => {
  const buffer = SharedBuffer.alloc(8)
  const words = new Int32Array(buffer.buffer)
  for (const timeout of [2 ** 31, 2 ** 33, 1e15, 9e21, 1.8e22, 2e22, 1e308, Infinity]) {
    const waiting = waitAsync(words, 0, 0, timeout)
    expect([waiting.async, notify(words, 0), notify(words, 0)]).toEqual([true, 1, 0])
    expect(await waiting.value).toBe('ok')
  }
  buffer.close()
})

test('a blocked wait keeps its place while nobody notifies', async () => {
  const x = name()
  const buffer = SharedBuffer.alloc(8, { name: x })
  const words = new Int32Array(buffer.buffer)
  const blocked = child(`const words = new Int32Array(SharedBuffer.open(${JSON.stringify(x)}).buffer); say('go'); say(wait(words, 0, 0))`)
  await blocked.heard('go')
  // Long enough that it came back to JavaScript some times. Then the first to come is the first to go.
  await new Promise(resolve => setTimeout(resolve, 700))
  const later = waitAsync(words, 0, 0)
  expect(notify(words, 0, 1)).toBe(1)
  await blocked.heard('ok')
  expect(notify(words, 0)).toBe(1)
  expect(await later.value).toBe('ok')
  buffer.close()
})

describe('closing the buffer', () => {
  const closed = { code: 'ERR_INVALID_STATE', message: expect.stringContaining('is closed') }

  test('ends what waits, and no more can', async () => {
    const x = name()
    const buffer = SharedBuffer.alloc(1e6, { name: x })
    const words = new Int32Array(buffer.buffer)
    const notified = waitAsync(words, 1, 0).value
    const waiting = [waitAsync(words, 0, 0).value, waitAsync(words, 2, 0, 60_000).value]
    notify(words, 1)
    buffer.close()
    for (const each of waiting) await expect(each).rejects.toMatchObject(closed)
    expect(await notified).toBe('ok')
    expect(list().filter(segment => segment.name === x)).toEqual([])
    for (const call of Object.keys(ours)) expect(() => ours[call](words, 0, 0, 0)).toThrow(expect.objectContaining(closed))
  })

  test('while the arguments are read', () => {
    for (const call of Object.keys(ours)) {
      const buffer = SharedBuffer.alloc(8)
      const closes = { valueOf: () => Number(buffer.close()) }
      expect(() => ours[call](new Int32Array(buffer.buffer), 0, closes, 0)).toThrow(expect.objectContaining(closed))
    }
  })

  test('lets the process end', async () => {
    const { stdout, stderr, status } = await child(`
      const buffer = SharedBuffer.alloc(8)
      waitAsync(new Int32Array(buffer.buffer), 0, 0).value.catch(error => say(error.code))
      buffer.close()`).ended
    expect({ stdout, stderr, status }).toEqual({ stdout: 'ERR_INVALID_STATE\n', stderr: '', status: 0 })
  })

  test('of another mode ends nothing', async () => {
    const x = name()
    const buffer = SharedBuffer.alloc(8, { name: x })
    const reader = SharedBuffer.open(x, { readOnly: true })
    const words = new Int32Array(buffer.buffer)
    const waiting = waitAsync(words, 0, 0).value
    reader.close()
    expect(notify(words, 0)).toBe(1)
    expect(await waiting).toBe('ok')
    buffer.close()
  })
})
