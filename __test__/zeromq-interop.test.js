'use strict'

// Against libzmq, by way of the npm package `zeromq`: every pair of socket types, both ways round, over TCP and Unix sockets.

const ours = require('../lib/zeromq')
const theirs = require('zeromq')
const { Ends, address, clearAwaySockets, until, delay } = require('./fixtures/zeromq-ends')

/** @type {Ends} */
let ends
beforeEach(() => { ends = new Ends() })
clearAwaySockets()
afterEach(() => ends.close())

const text = message => message.map(String)

/** What two sockets say to each other; the first one is bound. */
const TALKS = {
  'Push Pull': async (push, pull) => {
    for (let i = 0; i < 50; i++) await push.send([`part ${i}`, 'x'.repeat(i * 100)])
    for (let i = 0; i < 50; i++) expect(text(await pull.receive())).toEqual([`part ${i}`, 'x'.repeat(i * 100)])
  },
  'Pull Push': (pull, push) => TALKS['Push Pull'](push, pull),
  'Pair Pair': async (a, b) => {
    await a.send('ping')
    expect(text(await b.receive())).toEqual(['ping'])
    await b.send(['pong', ''])
    expect(text(await a.receive())).toEqual(['pong', ''])
  },
  'Reply Request': async (rep, req) => {
    for (const question of ['one', 'two', 'three']) {
      await req.send([question, '?'])
      expect(text(await rep.receive())).toEqual([question, '?'])
      await rep.send(question.toUpperCase())
      expect(text(await req.receive())).toEqual([question.toUpperCase()])
    }
  },
  'Request Reply': (req, rep) => TALKS['Reply Request'](rep, req),
  'Router Dealer': async (router, dealer) => {
    await dealer.send(['hello', 'you'])
    const [id, ...rest] = await router.receive()
    expect(text(rest)).toEqual(['hello', 'you'])
    await router.send([id, 'hello', 'back'])
    expect(text(await dealer.receive())).toEqual(['hello', 'back'])
  },
  'Dealer Router': (dealer, router) => TALKS['Router Dealer'](router, dealer),
  'Router Request': async (router, req) => {
    await req.send('question')
    const [id, empty, question] = await router.receive()
    expect(text([empty, question])).toEqual(['', 'question'])
    await router.send([id, '', 'answer'])
    expect(text(await req.receive())).toEqual(['answer'])
  },
  'Dealer Reply': async (dealer, rep) => {
    await dealer.send(['', 'question'])
    expect(text(await rep.receive())).toEqual(['question'])
    await rep.send('answer')
    expect(text(await dealer.receive())).toEqual(['', 'answer'])
  },
  'Dealer Dealer': (a, b) => TALKS['Pair Pair'](a, b),
  'Publisher Subscriber': async (pub, sub) => {
    sub.subscribe('a', 'bc')
    const first = sub.receive() // libzmq looks at a new connection only when it is called.
    await delay(100)
    for (const topic of ['a', 'b', 'bc', 'bcd', 'c', 'ab']) await pub.send([topic, 'body'])
    expect(text(await first)).toEqual(['a', 'body'])
    for (const topic of ['bc', 'bcd', 'ab']) expect(text(await sub.receive())).toEqual([topic, 'body'])
    sub.unsubscribe('a')
    await delay(100)
    for (const topic of ['a', 'bc']) await pub.send(topic)
    expect(text(await sub.receive())).toEqual(['bc'])
  },
  'Subscriber Publisher': (sub, pub) => TALKS['Publisher Subscriber'](pub, sub),
  'XPublisher Subscriber': async (xpub, sub) => {
    sub.subscribe('topic')
    expect(text(await xpub.receive())).toEqual(['\u0001topic'])
    await xpub.send(['topic!', 'body'])
    expect(text(await sub.receive())).toEqual(['topic!', 'body'])
    sub.unsubscribe('topic')
    expect(text(await xpub.receive())).toEqual(['\0topic'])
  },
  'XPublisher XSubscriber': async (xpub, xsub) => {
    await xsub.send('\u0001topic')
    expect(text(await xpub.receive())).toEqual(['\u0001topic'])
    await xpub.send('topic!')
    expect(text(await xsub.receive())).toEqual(['topic!'])
    await xsub.send('up the stream')
    expect(text(await xpub.receive())).toEqual(['up the stream'])
  },
  'Publisher XSubscriber': async (pub, xsub) => {
    await xsub.send('\u0001')
    await delay(100)
    await pub.send('anything')
    expect(text(await xsub.receive())).toEqual(['anything'])
  }
}

describe.each(['tcp', 'ipc'])('%s', transport => {
  describe.each([['ours bound', ours, theirs], ['libzmq bound', theirs, ours]])('%s', (_, first, second) => {
    test.each(Object.keys(TALKS))('%s', async types => {
      const [bound, connected] = types.split(' ')
      const a = ends.make(first[bound])
      const b = ends.make(second[connected])
      await a.bind(address(transport))
      b.connect(a.lastEndpoint)
      if (types === 'XPublisher XSubscriber' || types === 'Publisher XSubscriber') await delay(50)
      await TALKS[types](a, b)
    })

    test('long messages and many frames', async () => {
      const a = ends.make(first.Push)
      const b = ends.make(second.Pull)
      await a.bind(address(transport))
      b.connect(a.lastEndpoint)
      const long = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i * 7))
      await a.send([long, 'x', long.subarray(0, 70_000)])
      const [one, two, three] = await b.receive()
      expect(one.equals(long) && String(two) === 'x' && three.equals(long.subarray(0, 70_000))).toBe(true)
      const frames = Array.from({ length: 1000 }, (_, i) => String(i))
      await a.send(frames)
      expect(text(await b.receive())).toEqual(frames)
    })

    test('routing ids', async () => {
      const router = ends.make(first.Router, { mandatory: true })
      const dealer = ends.make(second.Dealer, { routingId: 'somebody' })
      await router.bind(address(transport))
      dealer.connect(router.lastEndpoint)
      await dealer.send('here')
      expect(text(await router.receive())).toEqual(['somebody', 'here'])
      await router.send(['somebody', 'hi'])
      expect(text(await dealer.receive())).toEqual(['hi'])
      await expect(router.send(['nobody', 'hi'])).rejects.toMatchObject({ code: 'EHOSTUNREACH' })
    })

    test('heartbeats keep a silent connection', async () => {
      const options = { heartbeatInterval: 20, heartbeatTimeout: 200, heartbeatTimeToLive: 300 }
      const a = ends.make(first.Push, options)
      const b = ends.make(second.Pull, options)
      await a.bind(address(transport))
      const gone = []
      b.events.on('disconnect', event => gone.push(event))
      b.connect(a.lastEndpoint)
      await delay(600)
      await a.send('still here')
      expect(text(await b.receive())).toEqual(['still here'])
      expect(gone).toEqual([])
    })

    test('the high-water marks hold a writer back', async () => {
      const a = ends.make(first.Push, { sendHighWaterMark: 5, sendTimeout: 500 })
      const b = ends.make(second.Pull, { receiveHighWaterMark: 5 })
      await a.bind(address(transport))
      b.connect(a.lastEndpoint)
      let sent = 0
      const body = Buffer.alloc(1_000_000)
      try {
        for (;; sent++) await a.send([String(sent), body])
      } catch (error) {
        expect(error.code).toBe('EAGAIN')
      }
      expect(sent).toBeGreaterThanOrEqual(10)
      expect(sent).toBeLessThan(50)
      for (let i = 0; i < sent; i++) expect(String((await b.receive())[0])).toBe(String(i))
    })
  })

  test.each([['ours', 'libzmq'], ['libzmq', 'ours']])('%s goes on when its peer %s is killed and comes back', async (mine, other) => {
    const where = transport === 'tcp' ? 'tcp://127.0.0.1:*' : address(transport)
    const first = await ends.peer(other, 'Pull', 'bind', where)
    const push = ends.make((mine === 'ours' ? ours : theirs).Push, { reconnectInterval: 20 })
    push.connect(first.endpoint)
    await push.send('one')
    await until(() => first.lines.includes('got one'))
    const gone = new Promise(resolve => push.events.on('disconnect', resolve))
    first.child.kill('SIGKILL')
    await gone
    await push.send('two')
    const second = await ends.peer(other, 'Pull', 'bind', first.endpoint)
    await until(() => second.lines.includes('got two'))
  })

  test('ours, bound, goes on when a libzmq peer is killed', async () => {
    const pull = ends.make(ours.Pull)
    await pull.bind(address(transport))
    const gone = new Promise(resolve => pull.events.on('disconnect', resolve))
    const first = await ends.peer('libzmq', 'Push', 'connect', pull.lastEndpoint)
    first.send('one')
    expect(text(await pull.receive())).toEqual(['one'])
    first.child.kill('SIGKILL')
    await gone
    const second = await ends.peer('libzmq', 'Push', 'connect', pull.lastEndpoint)
    second.send('two')
    expect(text(await pull.receive())).toEqual(['two'])
  })
})
