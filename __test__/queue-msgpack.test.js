'use strict'

// MessagePack: what goes out and comes in, alone and against rmp-serde of the Rust world.

const { inspect, isDeepStrictEqual } = require('node:util')
const { Queue } = require('..')
const { encode, decode } = require('../lib/queue/msgpack')
const { buildRustPeer, rustPeer } = require('./fixtures/rust-peer')

const SEED = Number(process.env.MSGPACK_SEED ?? Date.now() % 1e9)
const hex = text => Buffer.from(text.replaceAll(' ', ''), 'hex')
const damaged = expect.objectContaining({ code: 'ERR_QUEUE_CODEC' })

/** xorshift32: the same values for the same seed. */
function randomFrom (seed) {
  let state = seed | 1
  return limit => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

const TEXTS = ['', 'a', '__proto__', 'constructor', 'ü', '🎉', '\0', '\ufeff', 'toString', '0', 'then', 'x'.repeat(300)]
const NUMBERS = [0, -0, 1.5, NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 5e-324, 1.7976931348623157e308]

function randomValue (below, depth = 0) {
  const bits = 2 ** below(54)
  switch (below(depth > 5 ? 8 : 12)) {
    case 0: return null
    case 1: return below(2) === 0
    case 2: return Math.floor(bits) - below(3)
    case 3: return -Math.floor(bits) + below(3)
    case 4: return NUMBERS[below(NUMBERS.length)]
    case 5: return TEXTS[below(TEXTS.length)] + TEXTS[below(TEXTS.length)]
    case 6: return Buffer.alloc([0, 1, 255, 256, 70_000][below(5)], below(256))
    case 7: return BigInt.asUintN(64, (BigInt(below(2 ** 32)) << 32n) | 0x20000000000000n | BigInt(below(2 ** 32)))
    case 8: case 9: return Array.from({ length: below(6) }, () => randomValue(below, depth + 1))
    case 10: return new Map([[below(100), randomValue(below, depth + 1)], [null, 1]])
    default: return Object.fromEntries(Array.from({ length: below(6) }, () => [TEXTS[below(TEXTS.length)], randomValue(below, depth + 1)]))
  }
}

/** Jest's own equality does not see a member that is named `__proto__`. */
function expectSame (found, value) {
  if (!isDeepStrictEqual(found, value)) throw new Error(`seed ${SEED}: ${inspect(value, { depth: 9 })} became ${inspect(found, { depth: 9 })}`)
}

describe('alone', () => {
  test('random values come back as they were', () => {
    const below = randomFrom(SEED)
    for (let i = 0; i < 3000; i++) {
      const value = randomValue(below)
      expectSame(decode(encode(value)), value)
    }
  })

  test('the shortest form is used, and every other one is understood', () => {
    expect(encode([1, -1, 200, -100, 70_000, 2 ** 32, 'a', null])).toEqual(hex('98 01 ff ccc8 d09c ce00011170 cf0000000100000000 a161 c0'))
    for (const [bytes, value] of [
      ['cd 0005', 5], ['ce 00000005', 5], ['cf 0000000000000005', 5], ['d0 05', 5], ['d1 ffff', -1], ['d2 ffffffff', -1], ['d3 ffffffffffffffff', -1],
      ['cf ffffffffffffffff', 2n ** 64n - 1n], ['d3 8000000000000000', -(2n ** 63n)], ['ca 3fc00000', 1.5], ['cb 3ff8000000000000', 1.5],
      ['d9 01 61', 'a'], ['da 0001 61', 'a'], ['db 00000001 61', 'a'], ['c4 01 61', Buffer.from('a')], ['c5 0001 61', Buffer.from('a')],
      ['c6 00000001 61', Buffer.from('a')], ['dc 0001 c0', [null]], ['dd 00000001 c0', [null]], ['de 0001 a161 c0', { a: null }],
      ['df 00000001 a161 c0', { a: null }], ['81 01 02', new Map([[1, 2]])], ['d4 05 61', { type: 5, data: Buffer.from('a') }],
      ['c7 00 05', { type: 5, data: Buffer.alloc(0) }], ['d6 ff 6553f100', new Date(1.7e12)]
    ]) expect(decode(hex(bytes))).toStrictEqual(value)
  })

  test('lengths at the borders between the forms', () => {
    for (const size of [15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      for (const value of ['x'.repeat(size), Buffer.alloc(size, 1), new Array(size).fill(true),
        Object.fromEntries(Array.from({ length: size }, (_, i) => [`k${i}`, i]))]) {
        expectSame(decode(encode(value)), value)
      }
    }
  })

  test('what has no form of its own', () => {
    const time = new Date(-1)
    expect(decode(encode(time))).toEqual(time)
    expect(decode(encode(new Set([1, 'a'])))).toEqual([1, 'a'])
    expect(decode(encode(new Uint8Array([1, 2]).buffer))).toEqual(Buffer.from([1, 2]))
    expect(decode(encode(new Float64Array([1]).subarray(0, 1)))).toHaveLength(8)
    expect(decode(encode({ a: undefined, b: { toJSON: () => 'c' } }))).toEqual({ b: 'c' })
    expect(decode(encode([undefined]))).toEqual([null])
    for (const value of [() => {}, Symbol('s'), 2n ** 64n, -(2n ** 63n) - 1n, new Date(NaN)]) {
      expect(() => encode({ value })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    }
    const cycle = []
    cycle.push(cycle)
    expect(() => encode(cycle)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    expect(decode(encode('after an error'))).toBe('after an error')
  })

  test('a getter that encodes, or changes what is being encoded', () => {
    const inner = {
      get value () {
        list.push(3)
        return encode(['inner', 'x'.repeat(20_000)])
      }
    }
    const list = [1, inner, 2]
    const [one, { value }, two, ...rest] = decode(encode(list))
    expect([one, two, rest]).toEqual([1, 2, []])
    expect(decode(value)).toEqual(['inner', 'x'.repeat(20_000)])
    const map = new Map([['a', { toJSON () { map.set('b', 1) } }]])
    expect(decode(encode(map))).toEqual({ a: null })
  })

  test('no key reaches a prototype', () => {
    const value = decode(encode(JSON.parse('{ "__proto__": { "polluted": true }, "constructor": { "prototype": 1 } }')))
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(value.polluted).toBeUndefined()
    expect({}.polluted).toBeUndefined()
  })

  test('damaged bytes are an error', () => {
    for (const bytes of [
      '', 'c1', 'a2 61', 'd9', 'd9 02 61', 'dd ffffffff', 'df ffffffff', 'db ffffffff', 'c6 ffffffff 00', '91', '81 a161', 'c0 c0', 'cb 00', 'c7 05 ff',
      'd5 ff 0000', 'd6 ff', 'c7 0c ff 3b9aca00 0000000000000000', 'c7 0c ff 00000000 7fffffffffffffff', '91'.repeat(600) + 'c0'
    ]) expect(() => decode(hex(bytes))).toThrow(damaged)
  })

  test('any bytes are a value or that error', () => {
    const below = randomFrom(SEED)
    let values = 0
    for (let i = 0; i < 20_000; i++) {
      const bytes = i % 2 === 0 ? Buffer.from(Array.from({ length: below(40) }, () => below(256))) : encode(randomValue(below))
      // Half of them nearly whole: a byte changed, or the end cut off.
      if (i % 2 === 1) bytes[below(bytes.length)] = below(256)
      const part = i % 4 === 1 ? bytes.subarray(0, below(bytes.length + 1)) : bytes
      try {
        decode(part)
        values++
      } catch (error) {
        if (error.code !== 'ERR_QUEUE_CODEC') throw new Error(`seed ${SEED}: ${part.toString('hex')}`, { cause: error })
      }
    }
    expect(values).toBeGreaterThan(0)
  })
})

describe('with rmp-serde', () => {
  const open = []
  const make = () => {
    const queue = new Queue({ codec: 'msgpack', capacity: 2 ** 20 })
    open.push(queue)
    return queue
  }
  beforeAll(buildRustPeer, 600_000)
  afterEach(() => open.splice(0).forEach(queue => queue.close()))

  test('values of ours go through it unchanged', async () => {
    const [there, back] = [make(), make()]
    const { end } = rustPeer('echo', there.ticket, back.ticket)
    const below = randomFrom(SEED)
    const values = Array.from({ length: 500 }, () => randomValue(below)).filter(value => typeof value !== 'string' && !Buffer.isBuffer(value))
    values.push([new Date(1.7e12 + 1), new Date(-1)])
    for (const value of values) {
      await there.send(value)
      expectSame(await back.receive(), value)
    }
    await there.send('end')
    expect(await end).toBe(0)
  })

  test('values of its own go through ours unchanged', async () => {
    const [there, back] = [make(), make()]
    const rust = rustPeer('values', there.ticket, back.ticket, SEED, 1000)
    for (let i = 0; i < 1000; i++) {
      const value = await there.receive()
      // Strings and bytes on their own would travel as they are.
      await back.send(value)
    }
    expect(await rust.line()).toBe('1000 values')
    expect(await rust.end).toBe(0)
  })

  test('its extensions, and the three forms of a time', async () => {
    const queue = make()
    const { end } = rustPeer('extensions', queue.ticket)
    for (const length of [0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65_535, 65_536]) {
      expect(await queue.receive()).toEqual({ type: 5, data: Buffer.alloc(length, 9) })
    }
    expect(await queue.receive()).toEqual(new Date(1.7e12))
    expect(await queue.receive()).toEqual(new Date(1.7e12 + 500))
    expect(await queue.receive()).toEqual(new Date(-750))
    await expect(queue.receive()).rejects.toMatchObject({ code: 'ERR_QUEUE_CODEC' })
    expect(await end).toBe(0)
  })
})
