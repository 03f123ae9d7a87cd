'use strict'

/** What a BroadcastChannel does where calls fail, and where others die or stop. */

const { execFile } = require('node:child_process')
const { BroadcastChannel } = require('..')
const support = require('./fixtures/queue-support')

const open = []
const make = name => {
  const channel = new BroadcastChannel(name)
  open.push(channel)
  return channel
}
afterEach(() => open.splice(0).forEach(channel => channel.close()))

const unique = what => `${what} ${process.pid} ${Math.random()}`

/** Runs a program of its own, which has `name`, `raw` (a handle's prototype) and `fill(channel)`; gives what it said. */
function run (code) {
  const program = `
    const { BroadcastChannel, Topic } = require(${JSON.stringify(require.resolve('..'))})
    const { openChannel } = require(${JSON.stringify(require.resolve('../lib/topic/open'))})
    const name = ${JSON.stringify(unique('failures'))}
    const say = (...words) => console.log(words.join(' '))
    const some = openChannel('BroadcastChannel: ' + name, { receives: false, codec: 5 }, () => {})
    const raw = Object.getPrototypeOf(some)
    some.close()
    process.on('warning', ({ name, code, message }) => say(name, code, message.includes('failures')))
    process.on('uncaughtException', error => say('uncaught', error.stack))
    const half = new Uint8Array(1 << 19)
    const fill = channel => { for (let i = 0; i < 30; i++) channel.postMessage(half) }
    const DAMAGED = -100001
    ${code}`
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['-e', program], { timeout: 20_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message} ${stdout} ${stderr}`))
      else resolve(stdout.trim().split('\n'))
    })
  })
}

test('a message that waited and cannot be sent is a warning: the others go out, and the channel receives', async () => {
  expect(await run(`
    const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)]
    fill(from)
    const { sendOne } = raw
    raw.sendOne = function (...args) {
      raw.sendOne = sendOne
      return -require('node:os').constants.errno.ENOSPC
    }
    let count = 0
    to.onmessage = ({ data }) => {
      if (++count < 30) return data === 'end' && say('end after', count)
      to.postMessage('answer')
    }
    from.onmessage = ({ data }) => {
      say(data, count)
      from.close()
      to.close()
    }
    from.postMessage('end')`)).toEqual(['BroadcastChannelWarning ENOSPC true', 'answer 30'])
})

test('what cannot be sent after close() does not keep the process', async () => {
  expect(await run(`
    const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)]
    fill(from)
    from.close()
    raw.sendOne = () => DAMAGED
    to.onmessage = () => {}
    setTimeout(() => to.close(), 300)`)).toEqual(['BroadcastChannelWarning ERR_QUEUE_DAMAGED true'])
})

test('close() leaves although what waits cannot go out by another handle: nobody is held up', async () => {
  expect(await run(`
    const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)]
    const native = require(${JSON.stringify(require.resolve('../lib/native'))})
    fill(from)
    const { openTopic } = native
    Object.defineProperty(native, 'openTopic', { value: () => { throw new Error('EMFILE: too many open files') } })
    from.close()
    Object.defineProperty(native, 'openTopic', { value: openTopic })
    const topic = new Topic('BroadcastChannel: ' + name, { create: false })
    say('subscribers', topic.stats().subscribers)
    to.close()
    topic.close()`)).toEqual(['subscribers 1', expect.stringMatching(/^BroadcastChannelWarning .* true$/)])
})

test('where no bell can be had, what waits goes out all the same', async () => {
  expect(await run(`
    const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)]
    const { arm } = raw
    raw.arm = function (room) { return room ? -24 : arm.call(this, room) }
    fill(from)
    let count = 0
    to.onmessage = () => {
      if (++count < 30) return
      say('all')
      from.close()
      to.close()
    }`)).toEqual(['all'])
})

test('where every call fails, it is closed after a while: no endless loop', async () => {
  expect(await run(`
    const { fetcher } = raw
    let fails = false
    raw.fetcher = function () {
      const fetch = fetcher.call(this)
      return (...args) => fails ? DAMAGED : fetch(...args)
    }
    const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)]
    let errors = 0
    to.onmessageerror = () => errors++
    from.postMessage('first')
    to.onmessage = () => {
      fails = true
      from.close()
    }
    process.on('exit', () => say(errors))
  `)).toEqual(['BroadcastChannelWarning ERR_QUEUE_DAMAGED true', '63'])
})

test("a 'message' listener of a subscription where every call fails: errors, then the end", async () => {
  expect(await run(`
    const seen = (what, endpoint) => {
      let count = 0
      endpoint.on('error', error => { if (count++ === 0) say(what, error.code) })
      endpoint.on('close', () => setImmediate(() => say(what, 'closed', count, endpoint.closed)))
      endpoint.on('message', () => {})
    }
    raw.fetcher = () => () => DAMAGED
    const topic = new Topic()
    seen('subscription', topic.subscribe())
    topic.close()`)).toEqual(['subscription ERR_QUEUE_DAMAGED', 'subscription closed 64 true'])
})

const answers = (channel, pids) => new Promise(resolve => {
  const missing = new Set(pids)
  channel.onmessage = ({ data: { from } }) => {
    missing.delete(from)
    if (missing.size === 0) resolve()
  }
})

test('kill -9 of a process that has it open: the others go on', async () => {
  const name = unique('killed')
  const channel = make(name)
  const workers = [1, 2, 3].map(() => support.worker('channel', name, {}, 'topic-worker.js'))
  for (const { line } of workers) expect(await line()).toBe('open')
  const [dead, ...others] = workers
  dead.child.kill('SIGKILL')
  expect(await dead.end).toBe('SIGKILL')
  // Far more than what fits while somebody does not read it.
  const all = answers(channel, others.map(({ pid }) => pid))
  for (let i = 0; i < 40; i++) channel.postMessage(new Uint8Array(1 << 19))
  await all
  const later = answers(channel, others.map(({ pid }) => pid))
  channel.postMessage('after all of it')
  await later
  channel.postMessage('end')
  for (const { end } of others) expect(await end).toBe(0)
}, 30_000)

test('SIGSTOP of a process that has it open: postMessage never waits; all goes out after SIGCONT', async () => {
  const name = unique('stopped')
  const channel = make(name)
  const { child, pid, line, end } = support.worker('channel', name, {}, 'topic-worker.js')
  expect(await line()).toBe('open')
  child.kill('SIGSTOP')
  const posted = 60
  let received = 0
  const all = new Promise(resolve => {
    channel.onmessage = ({ data: { from, data } }) => {
      if (from === pid && data[0] === received && ++received === posted) resolve()
    }
  })
  let turns = 0
  for (let i = 0; i < posted; i++) {
    channel.postMessage(new Uint8Array(1 << 18).fill(i))
    await new Promise(resolve => setImmediate(resolve))
    turns++
  }
  expect([turns, received]).toEqual([posted, 0])
  child.kill('SIGCONT')
  await all
  channel.postMessage('end')
  expect(await end).toBe(0)
}, 30_000)
