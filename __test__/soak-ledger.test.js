'use strict'

// The soak's judge: what it takes for lost, and what for gone with the dead.

const { Queue } = require('..')
const body = require('../scripts/soak/support/body')
const { Ledger } = require('../scripts/soak/support/ledger')
const { note } = require('../scripts/soak/support/queue-worker')
const { worker } = require('./fixtures/queue-support')

const RIGHT = { handed: 0, lost: 0, uncounted: 0, invented: 0 }

describe('a ledger', () => {
  let queue, ledger
  beforeEach(() => {
    queue = new Queue()
    ledger = Ledger.create()
  })
  afterEach(() => {
    queue.close()
    ledger.buffer.close()
  })

  const send = async (from, to) => {
    ledger.begin(0, to)
    for (let number = from; number < to; number++) await queue.send(body.make(0, number, 40))
    ledger.sent(0, to)
  }
  const receive = ({ noted = true } = {}) => {
    const message = queue.tryReceive()
    if (noted) expect(note(ledger, 0, message)).toBeUndefined()
  }
  const found = () => ledger.compare(false, queue.stats().received)
  const killed = async role => {
    const consumer = worker(role, queue.ticket)
    await consumer.line()
    consumer.child.kill('SIGKILL')
    await consumer.end
  }

  test('finds all that was sent', async () => {
    await send(0, 5)
    for (let i = 0; i < 5; i++) receive()
    expect(found()).toEqual({ ...RIGHT, messages: 5 })
  })

  test('finds what is still in the queue', async () => {
    await send(0, 2)
    receive()
    expect(found()).toMatchObject({ lost: 1 })
  })

  test('knows what a killed consumer had just been handed', async () => {
    await send(0, 3)
    ledger.ask(1, 1)
    await killed('stick')
    for (let i = 0; i < 2; i++) expect(note(ledger, 0, queue.receiveSync({ timeout: 10_000 }))).toBeUndefined()
    expect(found()).toEqual({ ...RIGHT, messages: 3, handed: 1 })
    // One more that was sent, and never came into the queue.
    ledger.begin(0, 4)
    ledger.sent(0, 4)
    expect(found()).toEqual({ ...RIGHT, messages: 4, handed: 1, lost: 1 })
  })

  test('takes nothing for that when nobody was being handed anything', async () => {
    await send(0, 3)
    await killed('stick')
    for (let i = 0; i < 2; i++) expect(note(ledger, 0, queue.receiveSync({ timeout: 10_000 }))).toBeUndefined()
    expect(found()).toMatchObject({ lost: 1, uncounted: 1 })
  })

  test('takes nothing for that when who is killed was waiting', async () => {
    await send(0, 2)
    receive()
    receive()
    ledger.ask(1, 1)
    await killed('wait')
    ledger.begin(0, 3)
    ledger.sent(0, 3)
    expect(found()).toEqual({ ...RIGHT, messages: 3, lost: 1 })
  })

  test('finds a count that is too high or too low', async () => {
    await send(0, 2)
    receive()
    receive()
    expect(ledger.compare(false, 3)).toMatchObject({ lost: 0, uncounted: 1 })
    expect(ledger.compare(false, 1)).toMatchObject({ uncounted: 1 })
  })

  test('is unsure only of what a killed producer was sending', async () => {
    await send(0, 1)
    ledger.begin(0, 2)
    receive()
    expect(found()).toEqual({ ...RIGHT, messages: 1 })
    await queue.send(body.make(0, 1, 40))
    ledger.ask(1, 1)
    receive({ noted: false })
    expect(found()).toEqual({ ...RIGHT, messages: 1, handed: 1 })
  })

  test('finds what came twice, or was never sent', async () => {
    await send(0, 1)
    receive()
    expect(note(ledger, 0, body.make(0, 0, 40))).toMatch('twice')
    expect(note(ledger, 0, body.make(0, 1, 40))).toBeUndefined()
    expect(found()).toMatchObject({ invented: 1 })
    expect(note(ledger, 0, body.make(0, 1, 40).fill(0, 30))).toMatch('corrupt')
  })
})
