'use strict'

// A program in C that knows no more than docs/segment-layout.md, queue-layout.md, map-layout.md and lock-layout.md takes part.

const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { Queue, SharedBuffer, SharedCounter, SharedMap } = require('..')
const { list } = require('../lib/shared')
const { compiler, buildCPeer, cPeer, removeCPeer } = require('./fixtures/c-peer')
const { killStorm } = require('./fixtures/kill-storm')
const { leftovers, worker } = require('./fixtures/queue-support')
const { randomName } = require('./fixtures/shared-support')
const { toolOr } = require('./fixtures/only-if')

const built = compiler !== undefined
const withC = built ? describe : describe.skip
if (!built) toolOr(built, 'there is no C compiler, or this is not Linux')('the peer in C, which proves the layout pages', () => {})

withC(built ? 'C' : 'C [left out: there is no C compiler, or this is not Linux]', () => {
  const open = []
  const make = (...args) => {
    const queue = new Queue(...args)
    open.push(queue)
    return queue
  }
  beforeAll(buildCPeer, 120_000)
  afterAll(removeCPeer)
  afterEach(() => open.splice(0).forEach(queue => queue.close()))

  test('a buffer, by its name and by its ticket', async () => {
    const buffer = SharedBuffer.alloc(100, { name: randomName('ü/') })
    buffer.write('Node was here')
    for (const place of [buffer.name, buffer.ticket]) {
      const text = buffer.toString('utf8', 0, buffer.indexOf(0))
      const c = cPeer('buffer', place)
      expect(await c.line()).toBe(text)
      expect(await c.end).toBe(0)
      expect(buffer.toString('utf8', 0, buffer.indexOf(0))).toBe(`${text}, and C was here`)
    }
    buffer.close()
  })

  test('who is not there, or something else, is refused', async () => {
    const buffer = SharedBuffer.alloc(100, { name: randomName() })
    expect(await cPeer('receive', buffer.name, 1).end).toBe(1)
    expect(await cPeer('buffer', randomName()).end).toBe(1)
    expect(await cPeer('buffer', buffer.ticket.replace(/.{8}$/, '00000000')).end).toBe(1)
    expect(list().find(({ name }) => name === buffer.name).users).toHaveLength(1)
    buffer.close()
  })

  describe.each([['small', 512], ['large', 65_536]])('a %s queue', (size, capacity) => {
    test('from C to Node', async () => {
      const queue = make(randomName(), { capacity })
      const c = cPeer('send', queue.name, 2000)
      for (let i = 0; i < 2000; i++) expect(await queue.receive()).toEqual({ from: 'C', i })
      expect(await c.end).toBe(0)
      expect(queue.stats()).toMatchObject({ used: 0, received: 2000 })
    })

    test('from Node to C, one by one and in batches', async () => {
      const queue = make({ capacity })
      const c = cPeer('receive', queue.ticket, 1200)
      expect(await c.line()).toBe('ready')
      await queue.sendMany(Array.from({ length: 1000 }, (_, i) => ({ i })))
      for (let i = 1000; i < 1200; i++) await queue.send({ i })
      for (let i = 0; i < 1200; i++) expect(await c.line()).toBe(`2 {"i":${i}}`)
      expect(await c.end).toBe(0)
      expect(queue.stats().used).toBe(0)
    })

    test.each([false, true])('there and back, acknowledgement: %s', async ack => {
      const [there, back] = [make({ capacity, ack }), make({ capacity })]
      const c = cPeer('echo', there.ticket, back.ticket)
      for (const value of ['text', Buffer.from([0, 255]), { a: [1] }, '', 'x'.repeat(100_000), Buffer.alloc(5000, 7)]) {
        await there.send(value)
        expect(await back.receive()).toEqual(value)
      }
      await there.send('end')
      expect(await c.end).toBe(0)
      const id = idOf(there)
      there.close() // Till then it keeps the files that it wrote, for its next messages.
      expect(leftovers().filter(name => name.includes('part-') && name.includes(id))).toEqual([])
    })
  })

  test('a queue in a file, whose records have checksums', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'c-peer-'))
    const queue = make({ path: path.join(folder, 'queue') })
    const back = make()
    const c = cPeer('echo', `file:${folder}/queue`, back.ticket)
    const values = Array.from({ length: 200 }, (_, i) => ({ i }))
    await queue.sendMany(values)
    for (const value of values) expect(await back.receive()).toEqual(value)
    await queue.send('end')
    expect(await c.end).toBe(0)
    const sender = cPeer('send', `file:${folder}/queue`, 100)
    for (let i = 0; i < 100; i++) expect(await queue.receive()).toEqual({ from: 'C', i })
    expect(await sender.end).toBe(0)
    queue.close()
    expect(await cPeer('send', `file:${folder}/queue`, 1).end).toBe(1)
    rmSync(folder, { recursive: true })
  })

  test('several of both sides: nothing is lost and nothing comes twice', async () => {
    const [there, back] = [make({ capacity: 2048 }), make({ capacity: 4096 })]
    const echoes = [1, 2, 3].map(() => cPeer('echo', there.ticket, back.ticket))
    const count = 3000
    const sending = (async () => {
      for (let i = 0; i < count; i += 10) await there.sendMany(Array.from({ length: 10 }, (_, n) => ({ n: i + n })))
    })()
    const seen = new Set()
    for (let i = 0; i < count; i++) seen.add((await back.receive()).n)
    await sending
    expect(seen.size).toBe(count)
    for (let i = 0; i < 3; i++) await there.send('end')
    for (const { end } of echoes) expect(await end).toBe(0)
  })

  describe('kill -9', () => {
    test('of C at random: nothing is lost that was not acknowledged', async () => {
      const [there, back] = [make({ ack: true, capacity: 16_384 }), make({ capacity: 16_384 })]
      const { lost, sent } = await killStorm(there, back, 50, () => cPeer('echo', there.ticket, back.ticket))
      expect(lost).toEqual([])
      expect(sent).toBeGreaterThan(50)
    }, 120_000)

    test.each([false, true])('of C that has a message, acknowledgement: %s', async ack => {
      const queue = make({ ack })
      await queue.sendMany(['first', 'second', 'third'])
      const c = cPeer('hold', queue.ticket)
      expect(await c.line()).toBe('first')
      await c.kill()
      const rest = []
      for (let i = 0; i < (ack ? 3 : 2); i++) rest.push(await queue.receive())
      if (ack) {
        // The two others may come before its death is proven.
        const found = rest.map(({ data, redelivered }) => [data, redelivered])
        expect(found.sort()).toEqual([['first', true], ['second', false], ['third', false]])
        for (const message of rest) message.ack()
      } else {
        expect(rest).toEqual(['second', 'third'])
      }
      expect(queue.tryReceive()).toBeUndefined()
      expect(queue.stats().used).toBe(0)
    })

    test('of C that claimed room and wrote nothing', async () => {
      const queue = make({ capacity: 512 })
      const c = cPeer('claim', queue.ticket)
      expect(await c.line()).toBe('claimed')
      await c.kill()
      for (let i = 0; i < 20; i++) {
        await queue.send({ i })
        expect(await queue.receive()).toEqual({ i })
      }
    })

    test.each([false, true])('of Node: C settles what it left, acknowledgement: %s', async ack => {
      const queue = make({ ack })
      await queue.sendMany(['first', 'second', 'third'])
      // Without acknowledgement it has the three as a batch and has seen one of them.
      const holder = worker(ack ? 'hold' : 'stick', queue.ticket)
      expect(await holder.line()).toBe(ack ? '"first"' : 'first')
      const c = cPeer('receive', queue.ticket, ack ? 3 : 2)
      expect(await c.line()).toBe('ready')
      holder.child.kill('SIGKILL')
      const got = []
      for (let line = await c.line(); line !== undefined; line = await c.line()) got.push(line)
      expect(await c.end).toBe(0)
      expect(got.sort()).toEqual(ack ? ['1 first', '1 second', '1 third'] : ['1 second', '1 third'])
      expect(queue.tryReceive()).toBeUndefined()
    })
  })

  test('the last one removes the segment and what is beside it', async () => {
    const queue = make({ capacity: 65_536 })
    const { ticket } = queue
    const id = idOf(queue)
    const c = cPeer('receive', ticket, 2)
    expect(await c.line()).toBe('ready')
    await queue.send('last')
    expect(await c.line()).toBe('1 last')
    await queue.send('end')
    queue.close()
    expect(await c.line()).toBe('1 end')
    expect(await c.end).toBe(0)
    expect(leftovers().filter(name => name.includes(id))).toEqual([])
    expect(() => new Queue(ticket)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })

  test('values of a map, and a counter', async () => {
    const map = new SharedMap(randomName(), { capacity: 65_536 })
    const long = 'x'.repeat(1000)
    for (const [key, value] of [['n', -1.5], ['text', 'ü'], ['json', [1, { a: 2 }]], ['bytes', Buffer.alloc(300)], ['k'.repeat(200), long]]) {
      map.set(key, value)
    }
    map.set('short', 1, { ttl: 1 })
    await new Promise(resolve => setTimeout(resolve, 5))
    for (const [key, line] of [['n', 'number -1.5'], ['text', 'text ü'], ['json', 'json [1,{"a":2}]'], ['bytes', '300 bytes'],
      ['k'.repeat(200), `text ${long}`], ['nobody', 'nothing'], ['short', 'nothing']]) {
      const c = cPeer('get', map.ticket, key)
      expect(await c.line()).toBe(line)
      expect(await c.end).toBe(0)
    }
    map.close()
    const counter = new SharedCounter(randomName())
    counter.add(10n)
    const c = cPeer('count', counter.name, -12)
    expect(await c.line()).toBe('-2')
    expect(await c.end).toBe(0)
    expect(counter.value).toBe(-2n)
  })

  test('entries that C sets and deletes', async () => {
    const map = new SharedMap(randomName(), { capacity: 128 * 40, ttl: 60_000 })
    const done = async (...args) => {
      const c = cPeer(...args)
      const line = await c.line()
      expect(await c.end).toBe(0)
      return line
    }
    map.set('first', 1).set('second', 'y'.repeat(500)).set('third', 3)
    const long = 'z'.repeat(1500)
    await done('set', map.ticket, 'new', 'ü')
    await done('set', map.ticket, 'second', 'short')
    await done('set', map.ticket, 'first', long)
    await done('set', map.ticket, 'k'.repeat(200), '')
    expect([...map]).toEqual([['first', long], ['second', 'short'], ['third', 3], ['new', 'ü'], ['k'.repeat(200), '']])
    expect([await done('delete', map.ticket, 'third'), await done('delete', map.ticket, 'third')]).toEqual(['deleted', 'nothing'])
    expect([map.size, map.has('third'), await done('get', map.ticket, 'new')]).toEqual([4, false, 'text ü'])
    // What C used longest ago goes first, and its blocks are all there.
    map.set('x', 'x'.repeat(64 + 29 * 116))
    expect([...map.keys()].at(-1)).toBe('x')
    expect(map.has('new')).toBe(false)
    map.set('x', 1).set('all', 'x'.repeat(60 + 39 * 116))
    expect([...map.keys()]).toEqual(['all'])
    expect([map.delete('all'), map.size]).toEqual([true, 0])
    map.close()
  })

  test('kill -9 of C that changes a map: entries are whole, and no block is lost', async () => {
    const map = new SharedMap(randomName(), { capacity: 64 * 1024 })
    map.set('node', 'stays')
    for (let round = 0; round < 15; round++) {
      const c = cPeer('churn', map.ticket)
      expect(await c.line()).toBe('churns')
      for (let i = 0; i < 300; i++) map.set(`node ${i % 5}`, 'n'.repeat(i)).get('node')
      expect(await c.kill()).toBe('SIGKILL')
      for (const [key, value] of map) {
        if (key.startsWith('c ')) expect(value).toBe(`${Number.parseInt(value)} ${'x'.repeat(Number.parseInt(value))}`)
      }
      // By the mutex, which C may have had: repairs.
      map.set('repaired', round)
      expect([map.get('node'), [...map.keys()].length]).toEqual(['stays', map.size])
    }
    map.set('all', 'x'.repeat(60 + 511 * 116))
    expect([...map.keys()]).toEqual(['all'])
    map.close()
  })
})

/** What the names of a queue's files have of its ticket. */
function idOf (queue) {
  return queue.ticket.split(':')[2]
}
