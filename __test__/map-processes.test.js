'use strict'

// SharedMap between processes that write at once, are killed, come by cluster.

const { once } = require('node:events')
const { fork } = require('node:child_process')
const http = require('node:http')
const path = require('node:path')
const { SharedCounter, SharedMap } = require('../lib')
const { randomName, segmentsNamed } = require('./fixtures/shared-support')
const { child, endAll, until } = require('./fixtures/locks-support')

const open = []
function named (options) {
  const map = new SharedMap(randomName('map'), options)
  open.push(map)
  return map
}

afterEach(() => {
  endAll()
  for (const map of open.splice(0)) map.close()
})
afterAll(() => expect(segmentsNamed()).toEqual([]))

test('an update that is killed in its callback changes nothing, and holds nobody up', async () => {
  const map = named()
  map.set('total', { n: 0 })
  const writer = `
    const map = new SharedMap(${JSON.stringify(map.name)})
    for (let i = 0; i < 2000; i++) map.update('total', ({ n }) => ({ n: n + 1 }))`
  const victim = child(`
    const map = new SharedMap(${JSON.stringify(map.name)})
    map.update('total', ({ n }) => { require('fs').writeSync(1, 'inside\\n'); process.kill(process.pid, 'SIGKILL'); for (;;); })`)
  const writers = [child(writer), child(writer), child(writer)]
  await victim.heard('inside')
  expect((await victim.ended).signal).toBe('SIGKILL')
  for (const process of writers) expect(await process.ended).toMatchObject({ status: 0, stderr: '' })
  expect(map.get('total')).toEqual({ n: 6000 })
})

test('who ends by process.exit is dead to the others, and not gone in order: a thread of it may still have been writing', async () => {
  const map = named()
  const { pid, ended } = child(`new SharedMap(${JSON.stringify(map.name)}).set('a', 1); process.exit()`)
  expect(await ended).toMatchObject({ status: 0, stderr: '' })
  expect(segmentsNamed()).toMatchObject([{ users: [{ pid: process.pid, alive: true }, { pid, alive: false }] }])
  expect(map.set('b', 2).size).toBe(2)
})

test('a value is read as it is now, however often it was read before', async () => {
  const map = named()
  map.set('now', { n: 0 })
  const writer = child(`
    const map = new SharedMap(${JSON.stringify(map.name)})
    process.stdin.on('data', text => { for (const line of text.toString().trim().split('\\n')) { map.set('now', { n: +line }); say(line) } })`)
  for (let n = 1; n <= 200; n++) {
    writer.stdin.write(`${n}\n`)
    await writer.heard(`${n}`)
    // The second and third are copies of what this thread keeps.
    for (let i = 0; i < 3; i++) expect(map.get('now')).toEqual({ n })
  }
  writer.stdin.end()
  await writer.ended
})

test('a key that others replace all the time is never missed, by get nor by iteration', async () => {
  const map = named()
  map.set('here', 0)
  const writers = ['a', 'b'].map(id => child(`
    const map = new SharedMap(${JSON.stringify(map.name)})
    say('go')
    for (let i = 1; ; i++) {
      map.set('here', i)
      map.set('${id}' + i % 100, i)
      map.delete('${id}' + (i + 50) % 100)
    }`))
  for (const writer of writers) await writer.heard('go')
  const end = Date.now() + 1000
  let rounds = 0
  for (; Date.now() < end; rounds++) {
    expect(map.get('here')).toEqual(expect.any(Number))
    expect(map.has('here')).toBe(true)
    if (rounds % 10 === 0) expect([...map.keys()].filter(key => key === 'here')).toHaveLength(1)
  }
  expect(rounds).toBeGreaterThan(10)
  for (const writer of writers) {
    writer.kill('SIGKILL')
    await writer.ended
  }
})

test('in a cluster: one rate limit and one list of who is there for all workers', async () => {
  const hits = named()
  const present = named()
  const requests = new SharedCounter(`${hits.name} requests`)
  const primary = fork(path.join(__dirname, 'fixtures/map-cluster.js'), [hits.name, present.name, `${hits.name} requests`])
  try {
    const [{ port }] = await once(primary, 'message')
    await until(() => present.size === 3)
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(port)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(25)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(35)
    // Who answered says so of itself.
    for (const { pid } of answers) expect(present.get(pid)).toEqual({ pid: Number(pid) })
    expect(hits.get('client')).toBe(60)
    expect(requests.value).toBe(60n)
    // Who is killed is there until its entry's time is over.
    process.kill(present.values().next().value.pid, 'SIGKILL')
    await until(() => present.size === 2)
  } finally {
    primary.kill('SIGTERM')
    await once(primary, 'exit')
    // Its workers end after it: we leave last.
    await until(() => segmentsNamed().every(({ users }) => users.every(({ pid, alive }) => !alive || pid === process.pid)))
  }
})

/** @returns {Promise<{ status: number, pid: string }>} */
async function ask (port) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response')
  let pid = ''
  for await (const chunk of response) pid += chunk
  return { status: response.statusCode, pid }
}
