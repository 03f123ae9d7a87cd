'use strict'

const { once } = require('node:events')
const path = require('node:path')
const { SharedBuffer, cleanup, list } = require('../lib/shared')
const { randomName, run, segmentsNamed, start } = require('./fixtures/shared-support')

afterAll(() => expect(segmentsNamed()).toEqual([]))

const named = name => list().filter(info => info.name === name)

test('Atomics count exactly from several processes at once, and waiting by plain loads ends', async () => {
  const name = randomName()
  const buffer = SharedBuffer.alloc(64, { name })
  const words = new Int32Array(buffer.buffer)
  const code = `
    const buffer = SharedBuffer.open(process.env.NAME)
    const words = new Int32Array(buffer.buffer)
    const big = new BigInt64Array(buffer.buffer, 32)
    Atomics.add(words, 0, 1)
    while (words[1] === 0);
    for (let i = 0; i < 300_000; i++) {
      Atomics.add(words, 2, 1)
      for (;;) {
        const old = Atomics.load(words, 3)
        if (Atomics.compareExchange(words, 3, old, old + 1) === old) break
      }
      Atomics.add(big, 0, 1n)
    }`
  const children = [1, 2, 3].map(() => run(code, { env: { NAME: name } }))
  const deadline = Date.now() + 20_000
  while (Atomics.load(words, 0) < 3 && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 10))
  words[1] = 1
  for (const { status, stderr } of await Promise.all(children)) expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect([words[2], words[3], Number(new BigInt64Array(buffer.buffer, 32)[0])]).toEqual([900_000, 900_000, 900_000])
  buffer.close()
})

describe('the end of a process leaves nothing', () => {
  const ends = {
    'returning from the program': '',
    'process.exit': 'process.exit(0)',
    'an uncaught exception': "throw new Error('on purpose')",
    'a rejected promise': "Promise.reject(new Error('on purpose'))",
    'process.exit in a worker': `
      new (require('node:worker_threads').Worker)(
        'globalThis.kept = require(' + JSON.stringify(require.resolve(process.env.LIB)) + ').SharedBuffer.open(process.env.NAME); process.exit()',
        { eval: true })`,
    'a worker that is alive at the end': `
      new (require('node:worker_threads').Worker)(
        'globalThis.kept = require(' + JSON.stringify(require.resolve(process.env.LIB)) + ').SharedBuffer.open(process.env.NAME); setInterval(() => {}, 1000)',
        { eval: true }).once('online', () => setTimeout(() => process.exit(), 200))`
  }
  test.each(Object.keys(ends))('by %s', async end => {
    const name = randomName()
    const code = `globalThis.kept = SharedBuffer.alloc(1000, { name: process.env.NAME })
      globalThis.passed = JSON.stringify(kept)
      ${ends[end]}`
    const { stderr } = await run(code, { env: { NAME: name, LIB: require.resolve('../lib/shared') } })
    if (!end.includes('uncaught') && !end.includes('rejected')) expect(stderr).toBe('')
    expect(named(name)).toEqual([])
  })

  test.each(['SIGKILL', 'SIGTERM', 'SIGABRT'])('by %s, as soon as anyone looks for the name', async signal => {
    const name = randomName()
    const child = start("globalThis.kept = SharedBuffer.alloc(1000, { name: process.env.NAME }); console.log('ready'); setInterval(() => {}, 1000)",
      { env: { NAME: name } })
    await once(child.stdout, 'data')
    expect(named(name)).toMatchObject([{ health: 'in use', users: [{ pid: child.pid, alive: true }] }])
    child.kill(signal)
    await child.ended
    // Another process that creates something may have swept it already; tests/shm.rs keeps it from that.
    for (const left of named(name)) expect(left).toMatchObject({ health: 'orphan', users: [{ pid: child.pid, alive: false }] })
    if (signal === 'SIGKILL') expect(() => SharedBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    else if (signal === 'SIGTERM') SharedBuffer.alloc(5, { name }).close()
    else expect(cleanup().filter(info => info.name === name).length).toBeLessThan(2)
    expect(named(name)).toEqual([])
  })

  test('by kill -9 while others have it: they keep it, and the last of them takes it away', async () => {
    const name = randomName()
    const child = start("globalThis.kept = SharedBuffer.from('from the dead', { name: process.env.NAME }); console.log('ready'); setInterval(() => {}, 1000)",
      { env: { NAME: name } })
    await once(child.stdout, 'data')
    const buffer = SharedBuffer.open(name)
    child.kill('SIGKILL')
    await child.ended
    cleanup()
    expect(buffer.toString()).toBe('from the dead')
    expect((await run('console.log(SharedBuffer.open(process.env.NAME).toString())', { env: { NAME: name } })).stdout).toBe('from the dead\n')
    buffer.close()
    expect(named(name)).toEqual([])
  })
})

test('a stopped process is not taken for a dead one', async () => {
  const name = randomName()
  const child = start(`
    const buffer = SharedBuffer.alloc(8, { name: process.env.NAME })
    process.on('SIGCONT', () => setTimeout(() => { console.log('went on', buffer[0]); process.exit() }, 50))
    console.log('ready'); setInterval(() => {}, 1000)`, { env: { NAME: name } })
  await once(child.stdout, 'data')
  child.kill('SIGSTOP')
  await new Promise(resolve => setTimeout(resolve, 100))
  cleanup()
  expect(named(name)).toMatchObject([{ health: 'in use', users: [{ alive: true }] }])
  expect(() => SharedBuffer.alloc(8, { name })).toThrow(expect.objectContaining({ code: 'EEXIST' }))
  const buffer = SharedBuffer.open(name)
  buffer[0] = 7
  buffer.close()
  child.kill('SIGCONT')
  expect((await child.ended).stdout).toBe('ready\nwent on 7\n')
})

test('text is read while another process writes: no crash, whatever the method', async () => {
  const name = randomName()
  const buffer = SharedBuffer.alloc(4096, { name })
  const writer = start(`
    const buffer = SharedBuffer.open(process.env.NAME)
    const forms = [Buffer.from('ab'.repeat(2048)), Buffer.from('ä'.repeat(2048)), Buffer.from('\\u{1f600}'.repeat(1024)), Buffer.alloc(4096, 0xff)]
    console.log('ready')
    for (let i = 0; ; i++) forms[i % 4].copy(buffer)`, { env: { NAME: name } })
  await once(writer.stdout, 'data')
  const { status, signal, stdout } = await run(`
    const { StringDecoder } = require('node:string_decoder')
    const buffer = SharedBuffer.open(process.env.NAME)
    const reader = SharedBuffer.open(process.env.NAME, { readOnly: true })
    const end = Date.now() + 2500
    let rounds = 0
    while (Date.now() < end) {
      rounds++
      for (const each of [buffer, reader, buffer.subarray(7, 307)]) {
        for (const encoding of ['utf8', 'latin1', 'ucs2', 'hex', 'base64', 'base64url', 'ascii']) each.toString(encoding)
        each.toLocaleString()
        each.utf8Slice(0, each.length)
        String(each)
        void (each + '')
        require('node:util').inspect(each)
        new TextDecoder().decode(each)
        new TextDecoder('utf-16le').decode(each.buffer)
        new TextDecoder().decode(new DataView(each.buffer))
        new StringDecoder('utf8').write(each)
        each.indexOf('\\u{1f600}')
        each.includes('ää')
        new Blob([each])
      }
    }
    console.log('survived', rounds > 3)`, { env: { NAME: name } })
  writer.kill('SIGKILL')
  await writer.ended
  buffer.close()
  expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: 'survived true\n' })
})

// The short form of `node scripts/soak/segments.js 1000000`.
test('thousands of segments are opened and closed by several processes without growth', async () => {
  const soak = JSON.stringify(path.join(__dirname, '../scripts/soak/segments.js'))
  const { stdout, stderr } = await run(`require(${soak}).openAndClose({ opens: 28_000, until: Infinity }).then(({ opens, collected, failures }) => {
    console.log(opens, collected > 1000, failures)
  })`, { timeout: 110_000 })
  expect(stderr).toBe('')
  expect(stdout).toBe('28000 true []\n')
}, 120_000)
