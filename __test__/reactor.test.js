'use strict'

// What both drivers of the reactor must do, seen from programs: each runs under libuv and under the background thread.

const { execFile } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')

const run = promisify(execFile)
const fixture = name => path.join(__dirname, 'fixtures', 'reactor', `${name}.js`)

describe.each(['uv', 'tokio'])('the reactor driven by %s', driver => {
  const program = (name, ...args) => run(process.execPath, [fixture(name), ...args], {
    env: { ...process.env, INTERPROC_DRIVER: driver },
    timeout: 240_000,
    killSignal: 'SIGKILL'
  }).then(({ stdout }) => JSON.parse(stdout))

  test('survives 200 worker threads with live sockets, and leaks no descriptor', async () => {
    const { rounds, before, after } = await program('workers', '200')
    expect(rounds).toBe(200)
    expect(after).toBe(before)
  }, 250_000)

  test('is fair: a flooding socket does not starve a quiet one', async () => {
    const { floods, answers } = await program('fairness')
    expect(floods).toBeGreaterThan(10)
    expect(answers).toBe(100)
  }, 60_000)

  test('leaves turns to the rest of the loop, however much there is to receive', async () => {
    expect(await program('insatiable')).toEqual({ busy: true, timers: 10, immediates: 10, files: 10 })
  }, 60_000)

  test('watches a busy socket directly, and gives that up when it pauses, blocks, ends or has company', async () => {
    expect(await program('direct')).toEqual({ echoed: 10 * 200, spun: false, others: 5, big: 8 << 20, end: 'bye' })
  }, 60_000)

  test('lets the process end when nothing is referenced, and not before', async () => {
    expect(await program('lifetime')).toEqual({
      server: 'stays', 'server.unref': 'ends', 'server.unref.ref': 'stays', 'socket.unref': 'ends', 'udp.unref': 'ends'
    })
  }, 60_000)

  test('goes on after a handler throws, and gives the other handlers their events', async () => {
    expect(await program('throwing')).toEqual({ uncaught: 10, delivered: 10, ticks: 10 })
  }, 60_000)

  test('runs each handler in the async context in which the socket was made', async () => {
    expect(await program('context')).toEqual({ connect: 'outer', data: 'outer', timer: 'outer' })
  }, 60_000)
})
