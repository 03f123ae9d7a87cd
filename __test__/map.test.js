'use strict'

// SharedMap and SharedCounter, in one process and between several.

const { SharedCounter, SharedMap } = require('../lib')
const { randomName, segmentsNamed } = require('./fixtures/shared-support')
const { child, endAll } = require('./fixtures/locks-support')

const open = []
function make (options) {
  const map = new SharedMap(options)
  open.push(map)
  return map
}

afterEach(() => {
  endAll()
  for (const map of open.splice(0)) map.close()
})
afterAll(() => expect(segmentsNamed()).toEqual([]))

test('what was set is got, whatever it is', () => {
  const map = make()
  const values = ['text', '', '\x01', 'größe 💡', '\ud800', 0, -0, 1.5, 2 ** 60, true, false, null, { a: [1, { b: 'c' }] }, [], 'x'.repeat(100_000)]
  for (const [i, value] of values.entries()) map.set(`key ${i}`, value)
  for (const [i, value] of values.entries()) expect(map.get(`key ${i}`)).toEqual(value)
  map.set('bytes', Buffer.from([1, 2, 255])).set('typed', new Uint16Array([258]))
  expect([map.get('bytes'), map.get('typed')]).toEqual([Buffer.from([1, 2, 255]), Buffer.from([2, 1])])
  expect(Buffer.isBuffer(map.get('bytes'))).toBe(true)
  expect([map.get('nothing'), map.has('nothing'), map.has('bytes'), map.size]).toEqual([undefined, false, true, values.length + 2])
  expect(() => map.set('x', undefined)).toThrow(TypeError)
  expect(() => map.set('x', () => {})).toThrow(TypeError)
  for (const value of [undefined, () => {}, Symbol('s'), 1n]) {
    expect(() => map.set('x', value)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  }
  expect(() => map.set(1, 1)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  expect(() => map.set('x', 1, { ttl: -1 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  expect(() => new SharedMap({ capacity: 5 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  expect(Object.prototype.toString.call(map)).toBe('[object SharedMap]')
})

test('bytes, strings, numbers and JSON are told apart', () => {
  const map = make()
  const values = ['1', 1, '"1"', Buffer.from('1'), [1], '[1]', 'null', null, 'true', true, NaN, -Infinity, -0, '-0']
  for (const value of values) {
    map.set('key', value)
    // The second and third are given without a call.
    for (let i = 0; i < 3; i++) expect(map.get('key')).toStrictEqual(value)
  }
  map.set('key', { date: new Date(0), not: undefined, nan: NaN, toJSON: undefined })
  expect(map.get('key')).toEqual({ date: '1970-01-01T00:00:00.000Z', nan: null })
  expect(() => map.set('key', { n: 1n })).toThrow(TypeError)
  expect(map.get('key')).toEqual({ date: '1970-01-01T00:00:00.000Z', nan: null })
})

test('what get gives is one\'s own', () => {
  const map = make()
  const value = JSON.parse('{"a":{"b":[1,{"c":2}]},"__proto__":{"d":[3]},"0":[[]],"e":null}')
  map.set('key', value)
  for (let i = 0; i < 4; i++) {
    const got = map.get('key')
    expect(JSON.stringify(got)).toBe(JSON.stringify(value))
    expect(Object.getPrototypeOf(got)).toBe(Object.prototype)
    got.a.b[1].c = 'changed'
    got.a.b.push('more')
    Object.getOwnPropertyDescriptor(got, '__proto__').value.d.length = 0
    got[0][0].push('inner')
    delete got.e
  }
  const bytes = map.set('bytes', Buffer.from('abc')).get('bytes')
  bytes[0] = 0
  expect(map.get('bytes').toString()).toBe('abc')
})

test('keys and values of any length', () => {
  const map = make({ capacity: 32 * 2 ** 20 })
  const lengths = [0, 1, 63, 64, 65, 5000, 16 * 1024, 100_000, 3 * 2 ** 20]
  const kinds = [length => 'x'.repeat(length), length => '\u20ac'.repeat(length / 3), length => Buffer.alloc(length, 7), length => ['y'.repeat(length)]]
  for (const length of lengths) {
    for (const kind of kinds) {
      const value = kind(length)
      map.set('key', value)
      // Not by Jest's own comparison, which takes seconds for so much.
      const same = got => Buffer.isBuffer(value) ? value.equals(got) : JSON.stringify(got) === JSON.stringify(value)
      for (let i = 0; i < 3; i++) expect([length, same(map.get('key'))]).toEqual([length, true])
    }
    const key = 'k'.repeat(length)
    expect([map.has(key), map.setIfAbsent(key, length), map.get(key), map.update(key, n => n + 1), map.increment(key)])
      .toEqual([false, true, length, length + 1, length + 2])
    expect([map.delete(key), map.get(key)]).toEqual([true, undefined])
  }
  for (const call of [() => map.get('\ud800'), () => map.set('\ud800', 1), () => map.has('\ud800'), () => map.delete('\ud800'), () => map.increment('\ud800')]) {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  }
  expect(map.set('\u0000ü💡', 1).get('\u0000ü💡')).toBe(1)
})

test('a call within a call', () => {
  const map = make()
  map.set('outer', { toJSON: () => map.set('inner', 'x'.repeat(50_000)).get('inner').length })
  expect([map.get('outer'), map.update('outer', n => map.set('other', n).get('other') + 1)]).toEqual([50_000, 50_001])
})

test('more keys than a thread keeps', () => {
  const map = make({ capacity: 4 * 2 ** 20 })
  const wrong = []
  for (let i = 0; i < 30_000; i++) {
    map.set(`${i % 10_000}`, { i })
    if (map.get(`${i % 10_000}`).i !== i) wrong.push(i)
    // Read long ago: kept, or gone from what is kept.
    if (i >= 5000 && map.get(`${(i - 5000) % 10_000}`).i !== i - 5000) wrong.push(i - 5000)
  }
  expect(wrong).toEqual([])
})

test('iterates as a Map does', () => {
  const map = make()
  const model = new Map()
  for (const key of ['b', 'a', 'c', 'd', 'a']) {
    map.set(key, key + map.size)
    model.set(key, key + model.size)
  }
  map.delete('c')
  model.delete('c')
  expect([...map]).toEqual([...model])
  expect([...map.keys()]).toEqual([...model.keys()])
  expect([...map.values()]).toEqual([...model.values()])
  const seen = []
  map.forEach((value, key, itself) => seen.push([key, value, itself === map]))
  expect(seen).toEqual([...model].map(entry => [...entry, true]))
  const iterator = map.entries()
  iterator.next()
  map.set('e', 1).delete('a')
  expect([...iterator].map(([key]) => key)).toEqual(['d'])
  map.clear()
  expect([map.size, [...map]]).toEqual([0, []])
})

test('update, increment and setIfAbsent', () => {
  const map = make()
  expect(map.update('n', n => (n ?? 0) + 1)).toBe(1)
  let calls = 0
  expect(map.update('n', n => {
    // Someone else is faster, once.
    if (calls++ === 0) map.set('n', 10)
    return n + 1
  })).toBe(11)
  expect(calls).toBe(2)
  expect([map.update('n', () => undefined), map.has('n'), map.update('n', () => undefined)]).toEqual([undefined, false, undefined])
  expect([map.increment('i'), map.increment('i', 2.5), map.get('i')]).toEqual([1, 3.5, 3.5])
  expect([map.increment('i', -5), map.increment('i', 0)]).toEqual([-1.5, -1.5])
  // Doubles: exact to 2^53.
  expect([map.set('big', 2 ** 53 - 1).increment('big'), map.increment('big')]).toEqual([2 ** 53, 2 ** 53])
  expect(() => map.increment('i', 1n)).toThrow(TypeError)
  map.set('text', 'x')
  expect(() => map.increment('text')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  expect([map.setIfAbsent('once', 1), map.setIfAbsent('once', 2), map.get('once')]).toEqual([true, false, 1])
})

test('entries end, and the least used makes room', async () => {
  const map = make({ capacity: 4096, ttl: 10_000 })
  map.set('short', 1, { ttl: 1 }).set('ever', 2, { ttl: 0 })
  await new Promise(resolve => setTimeout(resolve, 10))
  expect([map.get('short'), map.get('ever'), map.size]).toEqual([undefined, 2, 1])
  for (let i = 0; i < 100; i++) {
    map.set(`${i}`, 'x'.repeat(100))
    map.get('ever')
  }
  expect([map.get('ever'), map.get('0'), map.get('99')]).toEqual([2, undefined, 'x'.repeat(100)])
  const strict = make({ capacity: 4096, evict: false })
  expect(() => { for (let i = 0; i < 100; i++) strict.set(`${i}`, i) }).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  expect(strict.get('0')).toBe(0)
})

test('a time to live ends where it says', async () => {
  const map = make({ ttl: 60_000 })
  const soon = { ttl: 150 }
  const begun = Date.now()
  map.set('set', 1, soon).set('again', 1, soon).set('ever', 1, soon).set('changed', 1, soon)
  map.increment('counted', 1, soon)
  const set = Date.now()
  // Begins anew, with the map's; never ends; is kept by increment.
  map.set('again', 2).set('ever', 2, { ttl: 0 })
  map.update('changed', n => n + 1)
  map.increment('counted', 1, { ttl: 60_000 })
  const there = () => ['set', 'again', 'ever', 'changed', 'counted'].filter(key => map.has(key))
  // Whether the clock was at the end already is not known if it was between.
  let before, seen, now
  do {
    before = Date.now()
    seen = [there().length, map.size, [...map.keys()].length, map.get('set'), map.get('counted')]
    now = Date.now()
    if (now < begun + 150) expect(seen).toEqual([5, 5, 5, 1, 2])
    await new Promise(resolve => setTimeout(resolve, 5))
  } while (before < set + 160)
  expect(seen).toEqual([3, 3, 3, undefined, undefined])
  expect(there()).toEqual(['again', 'ever', 'changed'])
  expect([map.increment('counted'), map.setIfAbsent('set', 3)]).toEqual([1, true])
  for (const ttl of [-1, 1.5, '1', NaN]) expect(() => map.set('x', 1, { ttl })).toThrow(expect.objectContaining({ code: expect.stringMatching(/^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)$/) }))
})

test('what was used longest ago goes first, and what is replaced never does', () => {
  const map = make({ capacity: 128 * 100 })
  for (let i = 0; i < 100; i++) map.set(`${i}`, i)
  // Read, written anew, and looked for, which is no use.
  for (const key of ['0', '2']) map.get(key)
  map.set('1', 'new')
  map.has('3')
  for (let i = 100; i < 110; i++) map.set(`${i}`, i)
  const keys = new Set(map.keys())
  const gone = Array.from({ length: 110 }, (_, i) => `${i}`).filter(key => !keys.has(key))
  expect(gone).toEqual(['3', '4', '5', '6', '7', '8', '9', '10', '11', '12'])
  expect(() => map.set('too large', 'x'.repeat(13_000))).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  // One that takes all the room but that of what it replaces.
  map.clear()
  map.set('x', 1).set('x', 'x'.repeat(11_000)).set('x', 2)
  expect([...map]).toEqual([['x', 2]])
})

test('what has ended makes room before what is used', async () => {
  const map = make({ capacity: 128 * 20, evict: false })
  for (let i = 0; i < 20; i++) map.set(`${i}`, i, { ttl: i % 2 === 0 ? 1 : 0 })
  await new Promise(resolve => setTimeout(resolve, 10))
  for (let i = 0; i < 10; i++) map.set(`new ${i}`, i)
  expect([...map.keys()]).toEqual([...Array.from({ length: 10 }, (_, i) => `${2 * i + 1}`), ...Array.from({ length: 10 }, (_, i) => `new ${i}`)])
  expect(() => map.set('more', 1)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
})

test('processes share it: no change is lost, iteration goes on while others write', async () => {
  const name = randomName()
  const map = make({ name })
  const code = `
    const map = new SharedMap(${JSON.stringify(name)})
    for (let i = 0; i < 3000; i++) {
      map.increment('sum')
      map.update('list', list => ({ count: (list?.count ?? 0) + 1 }))
      map.set(process.pid + ' ' + i % 50, { i })
    }
    map.close()`
  const children = [child(code), child(code), child(code)]
  let seen = 0
  while (children.some(process => process.exitCode === null)) {
    for (const [key, value] of map) if (key.includes(' ') && Number.isInteger(value.i)) seen++
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  for (const process of children) expect(await process.ended).toMatchObject({ status: 0, stderr: '' })
  expect([map.get('sum'), map.get('list'), map.size]).toEqual([9000, { count: 9000 }, 152])
  expect(seen).toBeGreaterThan(0)
  const again = new SharedMap(map.ticket)
  open.push(again)
  expect(again.get('sum')).toBe(9000)
})

test('killed writers leave whole entries', async () => {
  const name = randomName()
  const map = make({ name, capacity: 64 * 1024 })
  for (let round = 0; round < 10; round++) {
    const writer = child(`
      const map = new SharedMap(${JSON.stringify(name)})
      say('go')
      for (let i = 0; ; i++) {
        const length = 1 + i % 700
        map.set('key ' + i % 20, { length, text: 'x'.repeat(length) })
        if (i % 7 === 0) map.delete('key ' + i % 13)
      }`)
    await writer.heard('go')
    await new Promise(resolve => setTimeout(resolve, 10 + round * 3))
    writer.kill('SIGKILL')
    await writer.ended
    for (const [, { length, text }] of map) expect(text.length).toBe(length)
  }
})

test('counters add exactly between processes', async () => {
  const name = randomName()
  const counter = new SharedCounter(name)
  expect([counter.value, counter.add(5n), counter.sub(), counter.value]).toEqual([0n, 0n, 5n, 4n])
  const code = `
    const counter = new SharedCounter(${JSON.stringify(name)})
    for (let i = 0; i < 200_000; i++) counter.add()`
  const children = [child(code), child(code)]
  for (const process of children) expect(await process.ended).toMatchObject({ status: 0, stderr: '' })
  expect(counter.value).toBe(400_004n)
  counter.value = -1n
  expect([`${counter}`, counter.exchange(7n), counter.compareExchange(7n, 8n), JSON.stringify({ counter })]).toEqual(['-1', -1n, 7n, '{"counter":"8"}'])
  expect(new SharedCounter(name).value).toBe(8n)
  expect(SharedCounter.list().find(entry => entry.name === name)).toEqual({ name, value: 8n })
  counter.value = 2n ** 63n - 1n
  expect([counter.add(), counter.value, counter.and(0xffn), counter.or(6n), counter.xor(2n), counter.value])
    .toEqual([2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n), 0n, 6n, 4n])
  expect(() => counter.add(1)).toThrow(TypeError)
  expect(() => new SharedCounter('')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  for (const Class of [SharedCounter, SharedMap]) {
    expect(() => new Class('half \ud800')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    expect(() => new Class(5)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  }
})

test('a closed map says so, at every call', () => {
  const map = make()
  map.set('x', 1).set('object', { a: 1 })
  map.get('x')
  map.get('object')
  const key = 'k'.repeat(20 * 2 ** 20)
  map.close()
  map.close()
  const calls = {
    get: () => map.get('x'),
    'get of what was read': () => map.get('object'),
    'get of a key larger than the map': () => map.get(key),
    has: () => map.has('x'),
    'has of a key larger than the map': () => map.has(key),
    set: () => map.set('x', 1),
    setIfAbsent: () => map.setIfAbsent('x', 1),
    update: () => map.update('x', () => 1),
    increment: () => map.increment('x'),
    delete: () => map.delete('x'),
    clear: () => map.clear(),
    size: () => map.size,
    capacity: () => map.capacity,
    name: () => map.name,
    ticket: () => map.ticket,
    keys: () => map.keys(),
    values: () => map.values(),
    entries: () => map.entries(),
    iterator: () => map[Symbol.iterator](),
    forEach: () => map.forEach(() => {})
  }
  const methods = Object.getOwnPropertyNames(SharedMap.prototype).filter(name => !['constructor', 'close'].includes(name))
  expect(methods.filter(name => !(name in calls))).toEqual([])
  for (const [name, call] of Object.entries(calls)) {
    let code = `${name} throws nothing`
    try {
      call()
    } catch (error) {
      code = error.code
    }
    expect([name, code]).toEqual([name, 'ERR_INVALID_STATE'])
  }
})

test('iterators are of the time of their call, and can be iterated', () => {
  const map = make()
  map.set('a', 1).set('b', 2)
  const [keys, values, entries] = [map.keys(), map.values(), map.entries()]
  map.set('c', 3).set('b', 4)
  expect([[...keys], [...values], [...entries]]).toEqual([['a', 'b'], [1, 4], [['a', 1], ['b', 4]]])
  for (const iterator of [keys, values, entries]) {
    expect([iterator[Symbol.iterator]() === iterator, iterator.next().done]).toEqual([true, true])
  }
})

test('what is larger than the map is refused before memory is taken for it', async () => {
  // In a process of its own: on Node 20 the first call ended it by SIGSEGV.
  const big = child(`
    const map = new SharedMap({ capacity: 1024 })
    const before = process.resourceUsage().maxRSS
    const key = 'k'.repeat(20 * 2 ** 20)
    const bytes = new Uint8Array(2 ** 32)
    const calls = [() => map.set('k', bytes), () => map.set('k', bytes.subarray(1)), () => map.set(key, bytes.subarray(20 * 2 ** 20)),
      () => map.set(key, 1), () => map.set('k', key), () => map.set('k', [key]), () => map.setIfAbsent('k', bytes),
      () => map.update('k', () => bytes), () => map.increment(key)]
    const { deepEqual, ok, throws } = require('node:assert')
    for (const call of calls) throws(call, { code: 'ERR_INVALID_STATE', message: /no room/ })
    deepEqual([map.get(key), map.has(key), map.delete(key), map.size], [undefined, false, false, 0])
    const grown = process.resourceUsage().maxRSS - before
    ok(grown < 400 * 1024, grown + ' KiB more')`)
  expect(await big.ended).toMatchObject({ status: 0, stderr: '' })
})

test('what is nearly as large as the map fits, whatever its text could take', () => {
  const map = make({ capacity: 1024 })
  const long = 'k'.repeat(860)
  for (const [key, value] of [['text', 'x'.repeat(870)], [long, 1], [long, 'y'], ['json', { text: 'x'.repeat(850) }], ['bytes', Buffer.alloc(870)]]) {
    map.clear()
    expect([map.set(key, value).get(key), map.has(key), map.size]).toEqual([value, true, 1])
  }
})

test('bytes of a buffer come back; what JSON makes nothing of is refused', () => {
  const map = make()
  const bytes = Uint8Array.of(1, 2, 255)
  const shared = new Uint8Array(new SharedArrayBuffer(3))
  shared.set(bytes)
  expect(map.set('x', bytes.buffer).get('x')).toEqual(Buffer.from(bytes))
  expect(map.set('x', shared.buffer).get('x')).toEqual(Buffer.from(bytes))
  map.set('x', 1)
  const rejected = Promise.reject(new Error('nobody asks'))
  rejected.catch(() => {})
  for (const value of [new Map([[1, 2]]), new Set([1]), new Error('text'), new TypeError('text'), Promise.resolve(1), rejected, { then () {} }]) {
    for (const call of [() => map.set('x', value), () => map.setIfAbsent('y', value), () => map.update('x', () => value)]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    }
  }
  expect(() => map.update('x', async value => value)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  expect([...map]).toEqual([['x', 1]])
  // Who says what JSON is to have of it is asked.
  expect(map.set('x', Object.assign(new Map([[1, 2]]), { toJSON () { return [...this] } })).get('x')).toEqual([[1, 2]])
})

test('names with half a surrogate pair, which would meet, are refused', () => {
  for (const name of ['a\ud800', '\udc00', '\udbff\ud800x']) {
    for (const call of [() => new SharedMap(name), () => new SharedMap({ name }), () => new SharedCounter(name)]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    }
  }
  expect(SharedCounter.list().filter(({ name }) => name.includes('\ufffd'))).toEqual([])
})

test('of what was read, long keys are not kept', async () => {
  const reader = child(`
    require('node:v8').setFlagsFromString('--expose-gc')
    const gc = require('node:vm').runInNewContext('gc')
    const map = new SharedMap({ capacity: 2 ** 20 })
    const key = i => i + 'x'.repeat(2 ** 19)
    const heap = () => { gc(); return process.memoryUsage().heapUsed }
    const before = heap()
    for (let i = 0; i < 100; i++) require('node:assert').equal(map.set(key(i), 1).get(key(i)), 1)
    const grown = heap() - before
    require('node:assert').ok(grown < 10 * 2 ** 20, grown + ' bytes more')`)
  expect(await reader.ended).toMatchObject({ status: 0, stderr: '' })
})
