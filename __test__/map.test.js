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
  expect(() => map.set(1, 1)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  expect(() => map.set('x', 1, { ttl: -1 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  expect(() => new SharedMap({ capacity: 5 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
  expect(Object.prototype.toString.call(map)).toBe('[object SharedMap]')
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
  expect(() => new SharedCounter('')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
})

test('a closed map says so', () => {
  const map = make()
  map.close()
  map.close()
  expect(() => map.get('x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
})
