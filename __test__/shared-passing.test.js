'use strict'

const { fork, execFile } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { SharedBuffer } = require('../lib/shared')
const { revive } = require('../lib/shared/passing')
const { marker } = require('../lib/shared/marker')
const { randomName, register, run, segmentsNamed } = require('./fixtures/shared-support')

afterAll(() => expect(segmentsNamed()).toEqual([]))

const program = path.join(__dirname, 'fixtures', 'shared-child.js')

const forks = { 'node:child_process': fork, interproc: require('../lib/child_process').fork }

/** Forks and gives an `ask` that sends one message and waits for the answer. */
function startChild (serialization, by = 'node:child_process') {
  // Ours preloads it by itself.
  const child = forks[by](program, { serialization, execArgv: by === 'interproc' ? [] : ['--require', register] })
  return {
    ask: async message => {
      child.send(message)
      const [answer] = await once(child, 'message', { signal: AbortSignal.timeout(20_000) })
      return answer
    },
    end: async () => {
      child.disconnect()
      expect(await once(child, 'exit')).toEqual([0, null])
    }
  }
}

test('a child that only requires the package gets the same memory', async () => {
  const child = fork(path.join(__dirname, 'fixtures', 'shared-plain-child.js'))
  const buffer = SharedBuffer.alloc(5)
  child.send({ buffer })
  expect(await once(child, 'exit', { signal: AbortSignal.timeout(20_000) })).toEqual([0, null])
  expect(buffer.toString()).toBe('child')
  buffer.close()
})

describe.each(Object.keys(forks).flatMap(by => [[by, 'json'], [by, 'advanced']]))('through a fork channel of %s, %s', (by, serialization) => {
  let child
  beforeAll(() => { child = startChild(serialization, by) })
  afterAll(() => child.end())

  test('a buffer arrives as the same memory, there and back', async () => {
    const buffer = SharedBuffer.alloc(100, { name: randomName() })
    const answer = await child.ask({ buffer })
    expect(buffer.toString('utf8', 95)).toBe('child')
    expect(answer.buffer).toBe(buffer)
    buffer.close()
  })

  test('a slice arrives as the slice', async () => {
    const buffer = SharedBuffer.alloc(100)
    const { buffer: back } = await child.ask({ buffer: buffer.subarray(10, 20) })
    expect(buffer.toString('utf8', 15, 20)).toBe('child')
    expect([back.byteOffset, back.length, back.buffer === buffer.buffer]).toEqual([10, 10, true])
    buffer.close()
  })

  test('as the message itself, and deep inside', async () => {
    const buffer = SharedBuffer.from('abcdef')
    expect(await child.ask(buffer)).toEqual({ kind: 'SharedBuffer', itself: 6 })
    expect(await child.ask({ list: [buffer, buffer.subarray(3)], plain: { deep: [1, { deeper: null }] } }))
      .toMatchObject({ texts: ['abc', 'def'], plain: { deep: [1, { deeper: null }] } })
    buffer.close()
  })

  test('one that is gone arrives as an error, and nothing breaks', async () => {
    const ticket = 'interproc:1:00000000000000000000000000000000:00000000000000000000000000000000'
    expect(await child.ask({ error: marker(ticket) })).toEqual({ broken: { code: 'ENOENT', ticket } })
  })

  test('sent and closed at once, it still arrives', async () => {
    const buffer = SharedBuffer.from('abcdef')
    const answer = child.ask({ list: [buffer] })
    buffer.close()
    expect((await answer).texts).toEqual(['abc'])
  })
})

test('advanced serialization takes maps, sets and cycles too', async () => {
  const child = startChild('advanced')
  const buffer = SharedBuffer.from('abcdef')
  expect((await child.ask({ map: new Map([['key', buffer]]), set: new Set([buffer.subarray(3)]) })).texts).toEqual(['abc', 'def'])
  const cycle = { list: [buffer] }
  cycle.cycle = cycle
  expect((await child.ask(cycle)).texts).toEqual(['abc'])
  class Holder { constructor () { this.list = [buffer] } }
  const message = new Holder()
  expect((await child.ask(message)).texts).toEqual(['abc'])
  expect(message.list[0]).toBe(buffer)
  expect((await child.ask({ list: [buffer], plain: [new Date(5), /x/, new Map([[1, 2]]), null, 3n] })).plain)
    .toEqual([new Date(5), /x/, new Map([[1, 2]]), null, 3n])
  expect((await child.ask({ plain: Buffer.from('plain') })).plain).toEqual(expect.any(Uint8Array))
  buffer.close()
  await child.end()
})

test('through node:cluster, both ways', async () => {
  const { stdout, stderr } = await new Promise(resolve => {
    execFile(process.execPath, ['--require', register, path.join(__dirname, 'fixtures', 'shared-cluster.js')], { timeout: 20_000 },
      (error, stdout, stderr) => resolve({ error, stdout, stderr }))
  })
  expect(stderr).toBe('')
  expect(stdout.trim().split('\n').sort()).toEqual(['2000', 'true SharedBuffer', 'true SharedBuffer'])
})

test('to a worker thread by its ticket, and to another by what JSON makes of it', async () => {
  const buffer = SharedBuffer.alloc(8)
  const code = `
    const { workerData: { place, lib } } = require('node:worker_threads')
    const buffer = require(lib).SharedBuffer.open(place)
    for (let i = 0; i < 1000; i++) Atomics.add(new Int32Array(buffer.buffer), 0, 1)`
  const lib = path.join(__dirname, '../lib/shared')
  for (const place of [buffer.ticket, JSON.parse(JSON.stringify(buffer)), buffer.toJSON()]) {
    const worker = new Worker(code, { eval: true, workerData: { place, lib } })
    expect(await once(worker, 'exit')).toEqual([0])
  }
  expect(buffer.readInt32LE()).toBe(3000)
  buffer.close()
})

test('fifty worker threads come and go with it, half of them terminated', async () => {
  const { stdout, stderr, status } = await run(`
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const buffer = SharedBuffer.alloc(1e6)
    const code = \`
      const buffer = require(\${JSON.stringify(require.resolve(${JSON.stringify(path.join(__dirname, '../lib/shared'))}))}).SharedBuffer.open('\${buffer.ticket}')
      const own = require(\${JSON.stringify(require.resolve(${JSON.stringify(path.join(__dirname, '../lib/shared'))}))}).SharedBuffer.alloc(1000)
      require('node:worker_threads').parentPort.postMessage(buffer.length + own.length)
      if (Math.random() < 0.5) for (;;) buffer.fill(1)\`
    ;(async () => {
      let sum = 0
      for (let i = 0; i < 50; i++) {
        const worker = new Worker(code, { eval: true })
        const [length] = await once(worker, 'message')
        sum += length
        await worker.terminate()
      }
      const mine = shared.list().filter(info => info.users.some(user => user.pid === process.pid))
      console.log(sum, mine.length, mine[0].users.length)
    })()`)
  expect({ stdout, stderr, status }).toEqual({ stdout: '50050000 1 1\n', stderr: '', status: 0 })
}, 60_000)

test('to an unrelated process by name', async () => {
  const name = randomName('unrelated')
  const buffer = SharedBuffer.from('question', { name })
  const { stdout } = await run(`
    const buffer = SharedBuffer.open(process.env.NAME)
    console.log(buffer.toString())
    buffer.write('answer!!')`, { env: { NAME: name } })
  expect(stdout).toBe('question\n')
  expect(buffer.toString()).toBe('answer!!')
  buffer.close()
})

describe('what looks like a marker and is none', () => {
  test.each([
    ['a name instead of a ticket', { $interproc: 'SharedBuffer', ticket: 'some name' }],
    ['a ticket that is no string', { $interproc: 'SharedBuffer', ticket: 5 }],
    ['no ticket', { $interproc: 'SharedBuffer' }],
    ['another kind', { $interproc: 'Other', ticket: 'interproc:1:0:0' }],
    ['a huge ticket', { $interproc: 'SharedBuffer', ticket: `interproc:${'1'.repeat(1e6)}` }]
  ])('%s is left as it is', (_, value) => {
    const message = { value, list: [value] }
    expect(revive(message)).toBe(message)
    expect(message).toEqual({ value, list: [value] })
    expect(revive(value)).toBe(value)
  })

  test('a ticket that is garbage becomes an error inside the message', () => {
    for (const ticket of ['interproc:', 'interproc:1:zz:zz', 'interproc:1:../../../../etc/passwd:0', 'interproc:2:0:0']) {
      expect(revive({ value: marker(ticket) }).value).toMatchObject({ ticket, error: { code: expect.stringMatching(/^ERR_|^E/) } })
    }
  })

  test('deep, wide and cyclic messages are walked without recursion', () => {
    let deep = {}
    const root = deep
    for (let i = 0; i < 200_000; i++) deep = deep.next = {}
    expect(revive(root)).toBe(root)
    const cyclic = { list: [] }
    for (let i = 0; i < 3000; i++) cyclic.list.push({ cyclic })
    expect(revive(cyclic)).toBe(cyclic)
    for (const value of [null, undefined, 5, 'text', Buffer.alloc(5), new Uint8Array(100), Object.create(null)]) {
      expect(revive(value)).toBe(value)
    }
  })
})
