'use strict'

const { constants } = require('node:buffer')
const { once } = require('node:events')
const fs = require('node:fs')
const { SharedBuffer, cleanup, list } = require('../lib/shared')
const { randomName, run, segmentsNamed, start } = require('./fixtures/shared-support')

afterAll(() => expect(segmentsNamed()).toEqual([]))

const onLinux = process.platform === 'linux' ? test : test.skip
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
    expect(named(name)).toMatchObject([{ health: 'orphan', users: [{ pid: child.pid, alive: false }] }])
    if (signal === 'SIGKILL') expect(() => SharedBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    else if (signal === 'SIGTERM') SharedBuffer.alloc(5, { name }).close()
    else expect(cleanup().length).toBeLessThan(2)
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

describe('no room', () => {
  // 4 GiB is the most that Node 20 gives a buffer; the native side sees the rest.
  onLinux('more than /dev/shm has is ENOSPC at once, with advice, and leaves nothing', () => {
    const { createSharedBuffer } = require('../lib/native')
    const before = fs.readdirSync('/dev/shm').length
    expect(() => createSharedBuffer(null, 2 ** 40, false)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    expect(fs.readdirSync('/dev/shm').length).toBeLessThanOrEqual(before + 5)
  })

  // Docker gives /dev/shm less than Node 20's limit, and later versions have none that counts. More than all of it is refused
  // before a page is touched.
  const { blocks, bsize } = process.platform === 'linux' ? fs.statfsSync('/dev/shm') : { blocks: 0, bsize: 0 }
  const tooMuch = blocks * bsize + 2 ** 20
  const inReach = blocks > 0 && tooMuch <= constants.MAX_LENGTH ? test : test.skip
  inReach('SharedBuffer.alloc of more than all of /dev/shm is ENOSPC, and its name stays free', () => {
    const name = randomName()
    expect(() => SharedBuffer.alloc(tooMuch, { name })).toThrow(expect.objectContaining({ code: 'ENOSPC', syscall: 'alloc' }))
    expect(named(name)).toEqual([])
    SharedBuffer.alloc(8, { name }).close()
  })

  // A limit on files (EFBIG) stands in for a full file system (ENOSPC): the same calls fail, without any rights of root.
  onLinux('SharedBuffer.alloc beyond what the system grants is ENOSPC, leaves nothing, and less still works', async () => {
    const { stdout, stderr, status } = await run(`
      const { readdirSync } = require('node:fs')
      const name = ${JSON.stringify(randomName())}
      SharedBuffer.alloc(1).close()
      const mine = () => readdirSync('/dev/shm').filter(file => file.includes(name)).length + shared.list().filter(info => info.name === name).length
      let error
      try { SharedBuffer.alloc(2 ** 25, { name }) } catch (thrown) { error = thrown }
      console.log(error.code, error.syscall, error.errno < 0, /df \\/dev\\/shm/.test(error.message), mine())
      const buffer = SharedBuffer.alloc(4096, { name }).fill(255)
      console.log(buffer[4095], mine() > 0)`,
    { command: 'sh', prefix: ['-c', 'ulimit -f 2048 && exec "$@"', 'sh', process.execPath] })
    expect(stderr).toBe('')
    expect(stdout).toBe('ENOSPC alloc true true 0\n255 true\n')
    expect(status).toBe(0)
  })

  // A small file system of its own, where the machine lets us make one.
  const mountable = process.platform === 'linux' && process.getuid() === 0 &&
    require('node:child_process').spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/dev/shm']).status === 0
  const inSmallShm = mountable ? test : test.skip
  inSmallShm('a /dev/shm of 1 MB: fills to the last page, refuses the next, never ends in SIGBUS', async () => {
    const { stdout, stderr, status } = await run(`
      const all = []
      let error
      try { for (;;) all.push(SharedBuffer.alloc(100_000)) } catch (thrown) { error = thrown }
      for (const buffer of all) buffer.fill(255)
      console.log(all.length, error.code, error.syscall, error.errno < 0, /df \\/dev\\/shm/.test(error.message))
      all.pop().close()
      all.push(SharedBuffer.alloc(100_000).fill(1))
      console.log(all.every(buffer => buffer[99_999] > 0), require('fs').readdirSync('/dev/shm').length)`,
    { command: 'unshare', prefix: ['-m', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"', 'sh', process.execPath] })
    expect(stderr).toBe('')
    expect(stdout).toBe('8 ENOSPC alloc true true\ntrue 8\n')
    expect(status).toBe(0)
  })

  inSmallShm('what a killed process left gives way when room is short', async () => {
    const { stdout, stderr } = await run(`
      const { spawnSync } = require('node:child_process')
      SharedBuffer.alloc(1).close()
      const lib = ${JSON.stringify(require.resolve('../lib/shared'))}
      const code = "globalThis.kept = require('" + lib + "').SharedBuffer.alloc(800_000, { name: 'left' }); process.kill(process.pid, 'SIGKILL')"
      console.log(spawnSync(process.execPath, ['-e', code]).signal, shared.list().length)
      console.log(SharedBuffer.alloc(800_000).length, shared.list().length)`,
    { command: 'unshare', prefix: ['-m', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"', 'sh', process.execPath] })
    expect(stderr).toBe('')
    expect(stdout).toBe('SIGKILL 1\n800000 1\n')
  })
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

test('thousands of buffers are opened and closed without growth', async () => {
  const { stdout, stderr } = await run(`
    const fs = require('node:fs')
    const name = process.env.NAME
    const descriptors = () => process.platform === 'linux' ? fs.readdirSync('/proc/self/fd').length : 0
    const maps = () => process.platform === 'linux' ? fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').filter(line => line.includes('interproc.0.')).length : 0
    const round = times => {
      for (let i = 0; i < times; i++) {
        const buffer = SharedBuffer.alloc(10_000, { name })
        SharedBuffer.open(name, { readOnly: true }).close()
        buffer.subarray(5).close()
      }
      gc()
    }
    ;(async () => {
      round(500)
      await new Promise(resolve => setTimeout(resolve, 50))
      const before = [descriptors(), process.memoryUsage().rss]
      for (let i = 0; i < 10; i++) {
        round(500)
        await new Promise(resolve => setTimeout(resolve, 10))
      }
      console.log(descriptors() - before[0], maps(), process.memoryUsage().rss - before[1] < 20e6, process.memoryUsage().external < 20e6)
    })()`, { args: ['--expose-gc'], env: { NAME: randomName() } })
  expect(stderr).toBe('')
  expect(stdout).toBe('0 0 true true\n')
})
