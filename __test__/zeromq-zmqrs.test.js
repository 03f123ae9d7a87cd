'use strict'

// Against zmq.rs, the ZeroMQ of the Rust world: its sockets are child programs, built here from tests/zmqrs-peer.

const { spawn, spawnSync } = require('node:child_process')
const path = require('node:path')
const zmq = require('../lib/zeromq')
const { Ends, address, clearAwaySockets, until, delay } = require('./fixtures/zeromq-ends')

const root = path.join(__dirname, '..')
const folder = path.join(root, 'target', 'zmqrs-peer')

/** @type {Ends} */
let ends
beforeAll(() => {
  const args = ['build', '--locked', '--manifest-path', path.join(root, 'tests', 'zmqrs-peer', 'Cargo.toml'), '--target-dir', folder]
  const { status, stderr } = spawnSync('cargo', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`zmqrs-peer does not build: ${stderr}`)
}, 600_000)
beforeEach(() => { ends = new Ends() })
clearAwaySockets()
afterEach(() => ends.close())

/** A socket of zmq.rs: where it is, what it got, and how to make it send. */
async function peer (type, how, where) {
  const child = spawn(path.join(folder, 'debug', 'zmqrs-peer'), [type, how, where], { stdio: ['pipe', 'pipe', 'inherit'] })
  ends.later(() => child.kill('SIGKILL'))
  const lines = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    const all = (rest + text).split('\n')
    rest = all.pop()
    lines.push(...all)
  })
  await until(() => lines.length > 0)
  const endpoint = lines.shift().slice('ready '.length)
  return { child, endpoint, lines, send: text => child.stdin.write(`${text}\n`) }
}

const text = message => message.map(String).join('|')
const line = parts => `got ${parts}`

describe.each(['tcp', 'ipc'])('%s', transport => {
  describe.each(['ours bound', 'zmq.rs bound'])('%s', who => {
    /** Both ends, connected. */
    async function pair (mine, other) {
      const socket = ends.make(zmq[mine])
      if (who === 'ours bound') {
        await socket.bind(address(transport))
        return [socket, await peer(other, 'connect', socket.lastEndpoint)]
      }
      const bound = await peer(other, 'bind', transport === 'tcp' ? 'tcp://127.0.0.1:0' : address(transport))
      socket.connect(bound.endpoint)
      return [socket, bound]
    }

    test('PUSH to its PULL', async () => {
      const [push, pull] = await pair('Push', 'Pull')
      const long = 'x'.repeat(100_000)
      for (const message of [['one'], ['two', 'parts'], [long]]) await push.send(message)
      await until(() => pull.lines.length === 3)
      expect(pull.lines).toEqual([line('one'), line('two|parts'), line(long)])
    })

    test('PULL from its PUSH', async () => {
      const [pull, push] = await pair('Pull', 'Push')
      await until(async () => {
        push.send('knock')
        await delay(20)
        return pull.readable
      })
      push.send('two|parts')
      let message = 'knock'
      while (message === 'knock') message = text(await pull.receive())
      expect(message).toBe('two|parts')
    })

    test('PUB to its SUB', async () => {
      const [pub, sub] = await pair('Publisher', 'Subscriber')
      await until(async () => {
        await pub.send(['topic', 'body'])
        await delay(20)
        return sub.lines.length > 0
      })
      expect(sub.lines[0]).toBe(line('topic|body'))
    })

    test('SUB from its PUB', async () => {
      const [sub, pub] = await pair('Subscriber', 'Publisher')
      sub.subscribe('to')
      await until(async () => {
        pub.send('another|x')
        pub.send('topic|body')
        await delay(20)
        return sub.readable
      })
      expect(text(await sub.receive())).toBe('topic|body')
    })

    test('REQ to its REP', async () => {
      const [req] = await pair('Request', 'Reply')
      for (const question of ['one', 'two']) {
        await req.send([question, '?'])
        expect(text(await req.receive())).toBe(`${question}|?`)
      }
    })

    test('REP to its REQ', async () => {
      const [rep, req] = await pair('Reply', 'Request')
      await delay(100)
      req.send('question')
      expect(text(await rep.receive())).toBe('question')
      await rep.send(['answer', '!'])
      await until(() => req.lines.length === 1)
      expect(req.lines).toEqual([line('answer|!')])
    })

    test('ROUTER to its DEALER', async () => {
      const [router, dealer] = await pair('Router', 'Dealer')
      await delay(100)
      dealer.send('hello')
      const [id, hello] = await router.receive()
      expect(String(hello)).toBe('hello')
      await router.send([id, 'back'])
      await until(() => dealer.lines.length === 1)
      expect(dealer.lines).toEqual([line('back')])
    })

    test('DEALER to its ROUTER', async () => {
      const [dealer] = await pair('Dealer', 'Router')
      await dealer.send(['hello', 'there'])
      expect(text(await dealer.receive())).toBe('hello|there')
    })
  })

  test('a PUSH goes on when its peer is killed and comes back', async () => {
    const where = transport === 'tcp' ? 'tcp://127.0.0.1:0' : address(transport)
    const first = await peer('Pull', 'bind', where)
    const push = ends.make(zmq.Push, { reconnectInterval: 20 })
    push.connect(first.endpoint)
    await push.send('one')
    await until(() => first.lines.length === 1)
    const gone = new Promise(resolve => push.events.on('disconnect', resolve))
    first.child.kill('SIGKILL')
    await gone
    await push.send('two')
    if (transport === 'ipc') require('node:fs').rmSync(first.endpoint.slice('ipc://'.length))
    const second = await peer('Pull', 'bind', first.endpoint)
    await until(() => second.lines.length === 1)
    expect(second.lines).toEqual([line('two')])
  })
})
