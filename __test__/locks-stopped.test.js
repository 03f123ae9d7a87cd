'use strict'

// What is rare between processes: one is stopped amid a change of the table, the table's file is removed or full, everyone is killed.
// All of it in a /dev/shm of its own: the table is one for all processes of a user, other tests among them.

const path = require('node:path')
const { ownShm, runInShm } = require('./fixtures/shared-support')
const { onlyIf } = require('./fixtures/only-if')
const { buildRustExample } = require('../scripts/rust-example')

const inOwnShm = onlyIf(ownShm, 'this user may have no /dev/shm of its own')

/** What the programs have: another process, and the table's bytes by docs/lock-layout.md. */
const PRELUDE = `
  const assert = require('node:assert')
  const fs = require('node:fs')
  const { spawn, spawnSync } = require('node:child_process')
  const { once } = require('node:events')
  const { setTimeout: sleep } = require('node:timers/promises')
  const lib = ${JSON.stringify(path.join(__dirname, '../lib'))}
  const { locks, Semaphore, wait, waitAsync, notify } = require(lib)
  const table = () => shared.list().find(({ kind }) => kind === 'locks')
  const file = () => '/dev/shm/' + table().fileName
  const other = async code => {
    const child = spawn(process.execPath, ['-e', 'const { locks, Semaphore } = require(' + JSON.stringify(lib) + '); (async () => {' + code + '})()'],
      { stdio: ['ignore', 'pipe', 'inherit'] })
    child.ended = once(child, 'exit')
    await once(child.stdout, 'data')
    return child
  }
  const stays = "; console.log('ready'); setInterval(() => {}, 1000)"
  const shardOf = name => {
    let hash = 0xcbf29ce484222325n
    for (const byte of Buffer.from(name)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
    return Number((hash ^ hash >> 32n) & 255n) % 8
  }
  const setMutex = (name, word) => {
    const fd = fs.openSync(file(), 'r+')
    const header = Buffer.alloc(48)
    fs.readSync(fd, header, 0, 48, 0)
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(word)
    fs.writeSync(fd, bytes, 0, 8, Number(header.readBigUInt64LE(40)) + shardOf(name) * 263232)
    fs.closeSync(fd)
  }
  const ownerWord = pid => {
    const bytes = fs.readFileSync(file())
    for (let slot = 0; slot < 256; slot++) {
      const at = 4096 + 64 * slot
      if (bytes.readUInt32LE(at) === 1 && bytes.readUInt32LE(at + 8) === pid) return BigInt(slot + 1) << 32n | BigInt(bytes.readUInt32LE(at + 4))
    }
  }
  const main = async code => { try { await code(); console.log('done') } catch (error) { console.error(error) } process.exit() }
`

async function program (code) {
  const { stdout, stderr } = await runInShm('16m', `${PRELUDE}\nmain(async () => {${code}})`)
  expect({ stdout, stderr }).toEqual({ stdout: 'done\n', stderr: '' })
}

describe('a process is stopped in the middle of changing the table', () => {
  inOwnShm.each(['goes on', 'is killed'])('the others’ requests wait until it %s, their event loops do not', end => program(`
    const stopped = await other("await locks.request('any', () => {})" + stays)
    const names = { a: 'a', b: Array.from({ length: 1000 }, (_, i) => 'b' + i).find(name => shardOf(name) === shardOf('a')) }
    const held = await locks.acquire(names.a)
    const order = []
    const before = locks.request(names.a, () => order.push('waited before'))
    stopped.kill('SIGSTOP')
    setMutex(names.a, ownerWord(stopped.pid))

    const late = [1, 2, 3].map(i => locks.request(names.b, () => order.push(i)))
    const ifAvailable = locks.request(names.b, { ifAvailable: true }, lock => { order.push(lock === null ? 'not free' : 'free') })
    await assert.rejects(locks.request(names.b, { signal: AbortSignal.timeout(30) }, () => {}), { name: 'TimeoutError' })
    assert.equal(locks.acquireSync(names.b, { timeout: 30 }), null)
    const { held: [known], pending } = await locks.query()
    assert.deepEqual([known.name, pending.map(({ name }) => name)], [names.a, [names.a]])
    for (let i = 0; i < 100; i++) if (shardOf('c' + i) !== shardOf(names.a)) await locks.request('c' + i, () => {})
    const semaphore = new Semaphore(names.b, 2)
    assert.equal(semaphore.tryAcquire(), null)
    const permit = semaphore.acquire()
    assert.deepEqual(semaphore.query(), { permits: 2, held: 0, available: 2, pending: 0 })
    assert.equal(held.release(), true)
    assert.equal(held.held, false)
    await sleep(100)
    assert.deepEqual(order, [])

    if (${JSON.stringify(end)} === 'is killed') stopped.kill('SIGKILL')
    else setMutex(names.a, 0n)
    await Promise.all([before, ifAvailable, ...late])
    assert.deepEqual(order.filter(each => typeof each === 'number'), [1, 2, 3])
    assert.deepEqual(order.length, 5)
    assert.equal((await permit).release(), true)
    const all = await locks.query()
    assert.deepEqual([all.held.filter(({ clientId }) => clientId.startsWith(process.pid + '-')), all.pending], [[], []])
    stopped.kill('SIGKILL')`))

  inOwnShm('notify says so in the end, and waitAsync ends in time', () => program(`
    const stopped = await other("await locks.request('any', () => {})" + stays)
    const words = new Int32Array(SharedBuffer.alloc(4096).buffer)
    const waiting = Array.from({ length: 64 }, (_, i) => waitAsync(words, i, 0).value)
    for (let shard = 0, i = 0; shard < 8; i++) if (shardOf('n' + i) === shard) setMutex('n' + i, ownerWord(stopped.pid)), shard++, i = 0
    assert.throws(() => notify(words, 0), { code: 'EBUSY', syscall: 'notify' })
    assert.equal(await waitAsync(words, 0, 0, 50).value, 'timed-out')
    assert.equal(wait(words, 0, 0, 50), 'timed-out')
    stopped.kill('SIGKILL')
    await stopped.ended
    for (let i = 0; i < 64; i++) assert.equal(notify(words, i), 1)
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['ok']))`))
})

describe('the table’s file', () => {
  inOwnShm('is not removed by force while it is used, and goes with its last user', () => program(`
    const lock = await locks.acquire('x')
    const cli = lib + '/../bin/interproc.js'
    const { status, stderr } = spawnSync(process.execPath, [cli, 'rm', '--force', 'interproc locks'], { encoding: 'utf8' })
    assert.equal(status, 1)
    assert.match(stderr, /would not exclude/)
    assert.equal(shared.remove('interproc locks', { force: true }), false)
    lock.release()
    const code = "const { locks } = require(process.argv[1]); locks.request('y', () => {})"
    spawnSync(process.execPath, ['-e', code, lib])
    assert.equal(table().health, 'in use')
    fs.rmSync(file())
    spawnSync(process.execPath, ['-e', code, lib])
    assert.equal(table(), undefined)`))

  inOwnShm('is removed by something else: who asks from then on meets at a new one, and who waits goes there', () => program(`
    const first = await other("const lock = await locks.acquire('x'); console.log('ready'); process.on('SIGUSR2', () => { lock.release(); console.log('released') })" +
      "; setInterval(() => {}, 1000)")
    const waiting = locks.acquire('x')
    const words = new Int32Array(SharedBuffer.alloc(8).buffer)
    const waits = waitAsync(words, 0, 0).value
    await sleep(50)
    fs.rmSync(file())
    const second = await other("const lock = await locks.acquire('z'); console.log('ready'); setInterval(() => {}, 1000)")
    assert.equal(locks.acquireSync('z', { timeout: 100 }), null)
    const moved = await waiting
    assert.equal(moved.held, true)
    const asked = locks.acquireSync('x', { timeout: 50 })
    assert.equal(asked, null)
    assert.equal(moved.release(), true)
    let woken = 0
    while (woken === 0) { woken = notify(words, 0); await sleep(5) }
    assert.equal(await waits, 'ok')
    first.kill('SIGKILL')
    second.kill('SIGKILL')`))

  describe('and threads that are blocked', () => {
    /** @type {string} */
    let peer
    beforeAll(() => { peer = buildRustExample('rust-peer') }, 300_000)

    inOwnShm('go there too, in JavaScript and in Rust', () => program(`
      const first = await other("await locks.acquire('x')" + stays)
      const words = new Int32Array(SharedBuffer.alloc(8, { name: 'word' }).buffer)
      const blocked = await other("console.log('ready'); const lock = locks.acquireSync('x'); console.log(lock.held, lock.release())")
      const waits = await other("const words = new Int32Array(require(" + JSON.stringify(lib) + ").SharedBuffer.open('word').buffer)" +
        "; console.log('ready'); console.log(require(" + JSON.stringify(lib) + ").wait(words, 0, 0))")
      const rust = spawn('PEER', ['hold-lock', 'x', 'exclusive'], { stdio: ['pipe', 'pipe', 'inherit'] })
      const heard = { blocked: '', waits: '', rust: '' }
      for (const [who, { stdout }] of Object.entries({ blocked, waits, rust })) stdout.on('data', text => { heard[who] += text })
      while ((await locks.query()).pending.length < 2 || heard.rust !== 'taken\\n') await sleep(5)
      await sleep(50)
      fs.rmSync(file())
      // Either may be the first there.
      while (!heard.rust.includes('held')) await sleep(5)
      assert.equal(locks.acquireSync('x', { timeout: 50 }), null)
      rust.stdin.end()
      await once(rust, 'exit')
      while (heard.blocked === '') await sleep(5)
      assert.deepEqual(heard, { blocked: 'true true\\n', waits: '', rust: 'taken\\nheld false\\nstill held true\\n' })
      let woken = 0
      while (woken === 0) { woken = notify(words, 0); await sleep(5) }
      await waits.ended
      assert.equal(heard.waits, 'ok\\n')
      first.kill('SIGKILL')`.replace('PEER', peer)))
  })
})

describe('everyone is killed', () => {
  const asks = "console.log(await locks.request('x', ({ ownerDied }) => ownerDied), (await new Semaphore('s', 1).acquire()).ownerDied)"

  inOwnShm('the next process is told, whoever comes and goes between; then nothing is left', () => program(`
    const run = async code => {
      const child = await other(code)
      child.kill('SIGKILL')
      await child.ended
    }
    const answer = code => spawnSync(process.execPath, ['-e', 'const { locks, Semaphore } = require(' + JSON.stringify(lib) + '); (async () => {' + code + '})()'],
      { encoding: 'utf8' }).stdout
    await run("await locks.acquire('x'); await new Semaphore('s', 1).acquire()" + stays)
    assert.equal(answer("await locks.request('unrelated', () => {})"), '')
    SharedBuffer.alloc(1).close()
    assert.equal(answer(${JSON.stringify(asks)}), 'true true\\n')
    assert.equal(answer(${JSON.stringify(asks)}), 'false false\\n')
    assert.equal(table(), undefined)`))

  inOwnShm('who forgets to give back, and ends in order as the last, leaves nothing', () => program(`
    const code = "const { locks } = require(process.argv[1]); locks.acquire('x')"
    for (const end of ['', '.then(() => process.exit())']) {
      assert.equal(spawnSync(process.execPath, ['-e', code + end, lib]).status, 0)
      assert.equal(table(), undefined)
    }`))

  inOwnShm('interproc cleanup forgets it', () => program(`
    const child = await other("await locks.acquire('x')" + stays)
    child.kill('SIGKILL')
    await child.ended
    assert.equal(table().health, 'orphan')
    assert.deepEqual(shared.cleanup().map(({ kind }) => kind), ['locks'])
    assert.equal(table(), undefined)`))
})

inOwnShm('more requests than the table holds is an error, and the table works on', () => program(`
  const holder = await locks.acquire('x')
  const controller = new AbortController()
  require('node:events').setMaxListeners(0, controller.signal)
  const all = Array.from({ length: 1100 }, () => locks.request('x', { signal: controller.signal }, () => {}).catch(error => error.name))
  await sleep(50)
  controller.abort()
  const names = await Promise.all(all)
  assert(names.filter(error => error === 'QuotaExceededError').length > 70)
  assert.deepEqual(new Set(names), new Set(['AbortError', 'QuotaExceededError']))
  holder.release()
  await locks.request('x', () => {})`))
