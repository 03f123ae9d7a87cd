'use strict'

// Each pattern over each transport, through the API; `zeromq-interop.test.js` has them against libzmq.

const zmq = require('../lib/zeromq')
const { Ends, address } = require('./fixtures/zeromq-ends')

/** @type {Ends} */
let ends
beforeEach(() => { ends = new Ends() })
afterEach(() => ends.close())

const text = message => message.map(String)

describe.each(['tcp', 'ipc', 'inproc'])('over %s', transport => {
  /** A bound socket, and one connected to it. */
  async function pair (First, Second) {
    const [first, second] = [ends.make(First), ends.make(Second)]
    await first.bind(address(transport))
    second.connect(first.lastEndpoint)
    return [first, second]
  }

  test('PUSH gives to each PULL in turn', async () => {
    const push = ends.make(zmq.Push)
    await push.bind(address(transport))
    const pulls = [ends.make(zmq.Pull), ends.make(zmq.Pull)]
    for (const pull of pulls) {
      // A PUSH that is bound has a pipe as soon as the peer is there.
      const there = transport === 'inproc' ? Promise.resolve() : new Promise(resolve => push.events.on('handshake', resolve))
      pull.connect(push.lastEndpoint)
      await there
    }
    const got = Promise.all(pulls.map(pull => pull.receive()))
    let done = false
    got.then(() => { done = true })
    for (let i = 0; !done; i++) {
      await push.send(String(i))
      await new Promise(resolve => setImmediate(resolve))
    }
    expect((await got).flatMap(text).sort()[0]).toBe('0')
  })

  test('SUB gets what it subscribed to', async () => {
    const [xpub, sub] = await pair(zmq.XPublisher, zmq.Subscriber)
    sub.subscribe('a')
    expect(text(await xpub.receive())).toEqual(['\u0001a'])
    for (const topic of ['b', 'ab', 'c', 'a']) await xpub.send([topic, 'body'])
    expect(text(await sub.receive())).toEqual(['ab', 'body'])
    expect(text(await sub.receive())).toEqual(['a', 'body'])
    sub.unsubscribe('a')
    expect(text(await xpub.receive())).toEqual(['\0a'])
  })

  test('PUB finds its SUB', async () => {
    const [pub, sub] = await pair(zmq.Publisher, zmq.Subscriber)
    sub.subscribe()
    const first = sub.receive()
    let done = false
    first.then(() => { done = true })
    while (!done) {
      await pub.send('news')
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(text(await first)).toEqual(['news'])
  })

  test('REQ asks, REP answers', async () => {
    const [rep, req] = await pair(zmq.Reply, zmq.Request)
    for (const question of ['one', 'two']) {
      await req.send(question)
      expect(text(await rep.receive())).toEqual([question])
      await rep.send(question.toUpperCase())
      expect(text(await req.receive())).toEqual([question.toUpperCase()])
    }
  })

  test('ROUTER answers the DEALER who asked', async () => {
    const router = ends.make(zmq.Router)
    await router.bind(address(transport))
    const dealers = ['one', 'two'].map(routingId => ends.make(zmq.Dealer, { routingId }))
    for (const dealer of dealers) {
      dealer.connect(router.lastEndpoint)
      await dealer.send('who am I?')
    }
    for (let i = 0; i < 2; i++) {
      const [id] = await router.receive()
      await router.send([id, `you are ${id}`])
    }
    expect(await Promise.all(dealers.map(async dealer => text(await dealer.receive())))).toEqual([['you are one'], ['you are two']])
  })

  test('PAIR talks both ways', async () => {
    const [a, b] = await pair(zmq.Pair, zmq.Pair)
    await Promise.all([a.send('from a'), b.send('from b')])
    expect([text(await a.receive()), text(await b.receive())]).toEqual([['from b'], ['from a']])
  })
})
