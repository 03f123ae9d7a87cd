'use strict'

// What there is too little or too much of: room, size, users, letters; and who may not come in at all.

const { constants } = require('node:buffer')
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { SharedBuffer, cleanup, list, remove } = require('../lib/shared')
const { segmentError } = require('../lib/shared/errors')
const { ownShm, randomName, run, runInShm, segmentsNamed } = require('./fixtures/shared-support')
const { onlyIf, toolOr } = require('./fixtures/only-if')

afterAll(() => expect(segmentsNamed()).toEqual([]))

const onLinux = onlyIf(process.platform === 'linux', 'it is about Linux')
const named = name => list().filter(info => info.name === name)

describe('no room', () => {
  // 4 GiB is the most that Node 20 gives a buffer; the native side sees the rest.
  onLinux('more than /dev/shm has is ENOSPC at once, with advice, and leaves nothing', () => {
    const { createSharedBuffer } = require('../lib/native')
    expect(() => createSharedBuffer(null, 2 ** 40, false)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    const sizes = fs.readdirSync('/dev/shm').map(file => fs.statSync(path.join('/dev/shm', file), { throwIfNoEntry: false })?.size ?? 0)
    expect(Math.max(0, ...sizes)).toBeLessThan(2 ** 40)
  })

  // Docker gives /dev/shm less than Node 20's limit, and later versions have none that counts. More than all of it is refused
  // before a page is touched.
  const { blocks, bsize } = process.platform === 'linux' ? fs.statfsSync('/dev/shm') : { blocks: 0, bsize: 0 }
  const tooMuch = blocks * bsize + 2 ** 20
  const inReach = onlyIf(blocks > 0 && tooMuch <= constants.MAX_LENGTH, '/dev/shm is larger than any buffer')
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

  const inSmallShm = onlyIf(ownShm, 'this user may have no /dev/shm of its own')

  // 64 MB is what Docker gives. The control pages are part of what is taken.
  inSmallShm.each([['1m', 100_000, 8], ['64m', 8_000_000, 8]])('a /dev/shm of %s: fills up, refuses the next, never ends in SIGBUS', async (size, each, count) => {
    const { stdout, stderr, status } = await runInShm(size, `
      const all = []
      let error
      try { for (;;) all.push(SharedBuffer.alloc(${each})) } catch (thrown) { error = thrown }
      for (const buffer of all) buffer.fill(255)
      console.log(all.length, error.code, error.syscall, error.errno < 0, /df \\/dev\\/shm/.test(error.message))
      all.pop().close()
      all.push(SharedBuffer.alloc(${each}).fill(1))
      console.log(all.every(buffer => buffer[${each - 1}] > 0), require('fs').readdirSync('/dev/shm').length)`)
    expect(stderr).toBe('')
    expect(stdout).toBe(`${count} ENOSPC alloc true true\ntrue ${count}\n`)
    expect(status).toBe(0)
  })

  inSmallShm('queues, maps and locks say so too', async () => {
    const { stdout, stderr, status } = await runInShm('1m', `
      const { Queue, SharedMap, SharedCounter, locks } = require(${JSON.stringify(path.join(__dirname, '../lib'))})
      const filler = SharedBuffer.alloc(900_000)
      const attempts = {
        queue: () => new Queue('full', { capacity: 2 ** 20 }), map: () => new SharedMap('full', { capacity: 2 ** 20 }),
        counter: () => { for (let i = 0; ; i++) new SharedCounter('full ' + i) }, lock: () => locks.request('full', () => {})
      }
      ;(async () => {
        for (const [what, attempt] of Object.entries(attempts)) {
          const done = (async () => attempt())()
          await done.then(() => console.log(what, 'worked'), ({ code, message }) => console.log(what, code ?? message))
        }
      })()`)
    expect(stderr).toBe('')
    expect(stdout).toBe('queue ENOSPC\nmap ENOSPC\ncounter ENOSPC\nlock ENOSPC\n')
    expect(status).toBe(0)
  })

  inSmallShm('what a killed process left gives way when room is short', async () => {
    const { stdout, stderr } = await runInShm('1m', `
      const { spawnSync } = require('node:child_process')
      SharedBuffer.alloc(1).close()
      const lib = ${JSON.stringify(require.resolve('../lib/shared'))}
      const code = "globalThis.kept = require('" + lib + "').SharedBuffer.alloc(800_000, { name: 'left' }); process.kill(process.pid, 'SIGKILL')"
      console.log(spawnSync(process.execPath, ['-e', code]).signal, shared.list().length)
      console.log(SharedBuffer.alloc(800_000).length, shared.list().length)`)
    expect(stderr).toBe('')
    expect(stdout).toBe('SIGKILL 1\n800000 1\n')
  })
})

describe('big ones', () => {
  // The file has holes where a real one has pages: what is touched is all it takes, so this needs no memory.
  const GiB = 2 ** 30
  const big = 5 * GiB
  const forge = name => {
    SharedBuffer.alloc(100, { name, persistent: true }).close()
    const file = path.join('/dev/shm', named(name)[0].fileName)
    const header = Buffer.alloc(512)
    const fd = fs.openSync(file, 'r+')
    fs.readSync(fd, header, 0, 512, 0)
    const offset = header.readBigUInt64LE(40)
    header.writeBigUInt64LE(BigInt(big), 48)
    header.writeBigUInt64LE(BigInt(big) + offset, 56)
    let sum = 0xcbf29ce484222325n
    for (const byte of header.subarray(0, 360)) sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x100000001b3n)
    header.writeBigUInt64LE(sum, 360)
    fs.writeSync(fd, header, 0, 512, 0)
    fs.ftruncateSync(fd, big + Number(offset))
    fs.closeSync(fd)
  }
  const fits = constants.MAX_LENGTH > big

  onLinux('more than 4 GiB: every offset is where it should be, in every process', async () => {
    const name = randomName()
    forge(name)
    try {
      if (!fits) {
        expect(() => SharedBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
        expect(named(name)[0].users).toEqual([])
        return
      }
      const buffer = SharedBuffer.open(name)
      expect(buffer.length).toBe(big)
      const places = [0, 4 * GiB - 1, 4 * GiB, 4 * GiB + 4097, big - 1]
      places.forEach((place, i) => { buffer[place] = i + 1 })
      buffer.write('beyond', 4 * GiB + 10)
      const { stdout, stderr } = await run(`
        const buffer = SharedBuffer.open(${JSON.stringify(name)})
        console.log(JSON.stringify(${JSON.stringify(places)}.map(place => buffer[place])))
        console.log(buffer.toString('utf8', ${4 * GiB + 10}, ${4 * GiB + 16}))
        const slice = buffer.subarray(${4 * GiB + 100}, ${4 * GiB + 200})
        slice.fill('x')
        console.log(SharedBuffer.open(slice.ticket).length, SharedBuffer.open(buffer.ticket, { readOnly: true })[${big - 1}])`)
      expect(stderr).toBe('')
      expect(stdout).toBe('[1,2,3,4,5]\nbeyond\n100 5\n')
      expect([99, 100, 199, 200].map(place => buffer[4 * GiB + place])).toEqual([0, 120, 120, 0])
      expect(buffer[100]).toBe(0)
      buffer.close()
    } finally {
      remove(name)
    }
  })

  test('more than buffer.constants.MAX_LENGTH is refused before anything is made', () => {
    expect(() => SharedBuffer.alloc(constants.MAX_LENGTH + 1)).toThrow(expect.objectContaining({
      code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining(`<= ${constants.MAX_LENGTH}`)
    }))
  })
})

describe('names', () => {
  test.each([
    ['200 bytes', 'x'.repeat(164)],
    ['emoji', '\u{1f469}\u200d\u{1f680}'.repeat(10)],
    ['slashes and dots', '../../a/./b//'],
    ['letters of many scripts, and a line end', 'größe 名前 اسم \n\t']
  ])('%s', async (_, hint) => {
    const name = randomName(hint).slice(0, hint === 'x'.repeat(164) ? 200 : undefined)
    const buffer = SharedBuffer.from('found', { name })
    const { stdout } = await run(`
      const name = ${JSON.stringify(name)}
      console.log(SharedBuffer.open(name).toString(), shared.list().some(info => info.name === name))`)
    expect(stdout).toBe('found true\n')
    buffer.close()
  })

  test('as long as may be, in letters of four bytes; not one byte more', () => {
    const longest = `${'\u{1f600}'.repeat(41)}${randomName('').trim()}`
    expect(Buffer.byteLength(longest)).toBe(200)
    SharedBuffer.alloc(1, { name: longest }).close()
    const tooLong = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(/201 bytes.*200 is the most/) })
    expect(() => SharedBuffer.alloc(1, { name: `${longest}x` })).toThrow(tooLong)
    expect(() => SharedBuffer.open(`${longest}x`)).toThrow(tooLong)
    expect(() => remove(`${longest}x`)).toThrow(tooLong)
  })

  test('half a surrogate pair is not taken for another name', () => {
    expect(() => SharedBuffer.alloc(1, { name: `\ud83d ${randomName()}` })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})

describe('other users', () => {
  onLinux('a segment is its user’s alone', () => {
    const name = randomName()
    const buffer = SharedBuffer.alloc(1, { name })
    const stat = fs.statSync(path.join('/dev/shm', named(name)[0].fileName))
    expect([stat.mode & 0o777, stat.uid]).toEqual([0o600, process.geteuid()])
    buffer.close()
  })

  // Becoming another user takes the rights of root. The other one must be able to read the package.
  const nobody = 65534
  const copy = `/tmp/interproc-nobody-${process.pid}` // os.tmpdir() may be closed to him.
  const readable = process.platform === 'linux' && process.getuid() === 0
  const asRoot = onlyIf(readable, 'only root can become another user')
  const runAsNobody = code => run(code, { cwd: copy, uid: nobody, gid: nobody, room: path.join(copy, 'lib/shared') })
  beforeAll(() => {
    for (const what of readable ? ['lib', 'package.json'] : []) fs.cpSync(path.join(__dirname, '..', what), path.join(copy, what), { recursive: true })
  })
  afterAll(() => fs.rmSync(copy, { recursive: true, force: true }))

  asRoot('another user finds nothing by name or ticket, and reads nothing by path', async () => {
    const name = randomName()
    const buffer = SharedBuffer.from('secret', { name })
    const file = path.join('/dev/shm', named(name)[0].fileName)
    const { stdout, stderr } = await runAsNobody(`
      const attempt = call => { try { return call() } catch ({ code }) { return code } }
      console.log(attempt(() => SharedBuffer.open(${JSON.stringify(name)})), attempt(() => SharedBuffer.open(${JSON.stringify(buffer.ticket)})),
        attempt(() => require('fs').readFileSync(${JSON.stringify(file)})), attempt(() => shared.remove(${JSON.stringify(name)}, { force: true })),
        shared.list().length, shared.cleanup().length, SharedBuffer.alloc(1, { name: ${JSON.stringify(name)} }).length)`)
    expect(stderr).toBe('')
    expect(stdout).toBe('ENOENT ENOENT EACCES ENOENT 0 0 1\n')
    expect(buffer.toString()).toBe('secret')
    buffer.close()
  })

  asRoot('what another user put where our segment would be is EACCES, whatever its mode', async () => {
    const name = randomName()
    const buffer = SharedBuffer.alloc(1, { name })
    const file = path.join('/dev/shm', named(name)[0].fileName)
    buffer.close()
    const foreign = expect.objectContaining({ code: 'EACCES', path: name, message: expect.stringContaining('another user') })
    for (const mode of [0o600, 0o666]) {
      fs.writeFileSync(file, 'x')
      fs.chownSync(file, nobody, nobody)
      fs.chmodSync(file, mode)
      expect(() => SharedBuffer.open(name)).toThrow(foreign)
      expect(() => SharedBuffer.alloc(1, { name })).toThrow(foreign)
      expect(() => remove(name, { force: true })).toThrow(foreign)
      cleanup()
      expect(fs.existsSync(file)).toBe(true)
      fs.rmSync(file)
    }
  })
})

describe('errors', () => {
  const hasFlock = spawnSync('flock', ['--version']).status === 0
  const withFlock = toolOr(hasFlock && process.platform === 'linux', 'there is no flock(1), or this is not Linux')
  withFlock('EBUSY: whoever removes it was stopped in the middle; once it goes on, all is well', async () => {
    const name = randomName()
    SharedBuffer.alloc(1, { name, persistent: true }).close()
    const file = path.join('/dev/shm', named(name)[0].fileName)
    const locked = spawn('flock', ['-x', '-o', file, 'sh', '-c', 'echo locked; exec sleep 100'], { stdio: ['ignore', 'pipe', 'ignore'] })
    await once(locked.stdout, 'data')
    const busy = expect.objectContaining({ code: 'EBUSY', path: name, message: expect.stringContaining('stopped?') })
    expect(() => SharedBuffer.open(name)).toThrow(busy)
    expect(() => remove(name)).toThrow(busy)
    locked.kill('SIGKILL')
    await once(locked, 'exit')
    expect(SharedBuffer.open(name).length).toBe(1)
    SharedBuffer.open(name).close()
    expect(remove(name)).toBe(true)
  })

  // What is too costly to bring about here is in tests/shm.rs; this is how it is told.
  test.each([
    ['FULL', 'ERR_SHARED_FULL', 'the'],
    ['LAYOUT_MISMATCH', 'ERR_SHARED_LAYOUT', 'the'],
    ['KIND_MISMATCH', 'ERR_SHARED_KIND', 'the'],
    ['NOT_A_SEGMENT', 'ERR_SHARED_DAMAGED', 'the'],
    ['TRUNCATED', 'ERR_SHARED_DAMAGED', 'the'],
    ['CORRUPT', 'ERR_SHARED_DAMAGED', 'the'],
    ['EBUSY', 'EBUSY', 'stopped'],
    ['EACCES', 'EACCES', 'another user'],
    ['ENOSPC', 'ENOSPC', 'df /dev/shm'],
    ['NO_EXTERNAL_BUFFERS', 'ERR_NOT_SUPPORTED', 'the'],
    ['ERRNO -24', 'EMFILE', 'the']
  ])('%s is %s', (code, expected, says) => {
    const error = segmentError(Object.assign(new Error('the reason'), { code }), 'open', 'place', 5)
    expect(error).toBeInstanceOf(Error)
    expect(error.code).toBe(expected)
    expect(error.message).toContain(says)
  })

  test('every code that docs/shared.md names is thrown in a test', () => {
    const table = fs.readFileSync(path.join(__dirname, '../docs/shared.md'), 'utf8').split('## Errors')[1]
    const documented = [...table.matchAll(/`(E[A-Z_]+)`/g)].map(([, code]) => code)
    expect(documented.length).toBeGreaterThan(10)
    const files = fs.readdirSync(__dirname).filter(file => /^shared-.*test\.js$/.test(file))
    const tests = files.map(file => fs.readFileSync(path.join(__dirname, file), 'utf8'))
    for (const code of documented) expect({ code, tested: tests.some(text => text.includes(`'${code}'`)) }).toEqual({ code, tested: true })
  })
})
