'use strict'

// What peers, limits and the end of threads do to sockets: each is a clear event, and nothing is left behind.

const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { Readable, pipeline } = require('node:stream')
const { Worker } = require('node:worker_threads')
const net = require('../lib/net')
const { onlyIf } = require('./fixtures/only-if')

const lib = JSON.stringify(path.join(__dirname, '../lib'))
const linux = onlyIf(process.platform === 'linux', 'it is about Linux')
const descriptors = () => fs.readdirSync('/proc/self/fd').length

async function listening (options) {
  const server = net.createServer(options).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

test('a killed peer ends the connection', async () => {
  const server = await listening()
  const child = spawn(process.execPath, ['-e', `require(${lib}).net.connect(${server.address().port}, '127.0.0.1')`])
  const [socket] = await once(server, 'connection')
  socket.resume().on('error', error => expect(error.code).toBe('ECONNRESET'))
  child.kill('SIGKILL')
  await once(socket, 'close')
  server.close()
  await once(server, 'close')
})

test('a peer that never reads stops the sender at its high-water mark', async () => {
  const server = await listening()
  const client = net.connect(server.address().port, '127.0.0.1')
  const [socket] = await once(server, 'connection')
  const chunk = Buffer.alloc(64 * 1024)
  let written = 0
  const endless = new Readable({
    read () {
      written += chunk.length
      this.push(chunk)
    }
  })
  const piped = new Promise(resolve => { pipeline(endless, socket, resolve) })
  let before = -1
  while (before !== written) {
    before = written
    await new Promise(resolve => { setTimeout(resolve, 100) })
  }
  expect(socket.writableLength).toBeLessThan(4 * chunk.length)
  client.on('error', () => {}).destroy()
  expect((await piped).code).toMatch(/^(ECONNRESET|EPIPE)$/)
  server.close()
})

test('many connections at once', async () => {
  const count = 400
  const server = await listening()
  server.on('connection', socket => socket.pipe(socket))
  const answers = await Promise.all(Array.from({ length: count }, async (_, i) => {
    const client = net.connect(server.address().port, '127.0.0.1')
    client.end(`I am ${i}`)
    let got = ''
    for await (const chunk of client) got += chunk
    return got
  }))
  expect(answers).toEqual(Array.from({ length: count }, (_, i) => `I am ${i}`))
  server.close()
  await once(server, 'close')
})

linux('a server without descriptors waits, and accepts when there are some again', () => {
  const program = `
    const { net } = require(${lib})
    const fs = require('fs')
    const server = net.createServer(socket => { accepted++; socket.resume() })
    let accepted = 0
    server.listen(0, '127.0.0.1', () => {
      const held = []
      try {
        for (;;) held.push(fs.openSync('/dev/null'))
      } catch (error) {
        console.log(error.code)
      }
      // Enough for the clients, none for the server.
      held.splice(0, 20).forEach(fd => fs.closeSync(fd))
      for (let i = 0; i < 20; i++) net.connect(server.address().port, '127.0.0.1').on('error', error => console.log(error.code))
      setTimeout(() => { const cpu = process.cpuUsage(); setTimeout(() => {
        const { user, system } = process.cpuUsage(cpu)
        console.log(user + system < 250_000 ? 'idle' : 'spinning', accepted)
        held.forEach(fd => fs.closeSync(fd))
        const watch = setInterval(() => { if (accepted === 20) { console.log('all accepted'); process.exit() } }, 20)
      }, 500) }, 200)
    })
    setTimeout(() => process.exit(1), 20_000)`
  const { stdout, stderr } = spawnSync('sh', ['-c', `ulimit -n 96; exec "${process.execPath}" -e '${program.replace(/'/g, '\'\\\'\'')}'`], {
    encoding: 'utf8', timeout: 25_000
  })
  expect(stderr).toBe('')
  expect(stdout.trim().split('\n')).toEqual(['EMFILE', 'idle 0', 'all accepted'])
})

linux('a terminated worker leaves no descriptor and no socket file', async () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'interproc-net-'))
  const program = `
    const { parentPort } = require('node:worker_threads')
    const { net, dgram } = require(${lib})
    const receiver = dgram.createSocket('udp4').bind(0, '127.0.0.1', () => {
      setInterval(() => receiver.send('x'.repeat(100), receiver.address().port, '127.0.0.1'), 1)
      const server = net.createServer(socket => socket.pipe(socket))
      server.listen(process.env.SOCKET, () => {
        const client = net.connect(process.env.SOCKET)
        const pour = () => { while (client.write(Buffer.alloc(10_000))); }
        client.on('connect', pour).on('drain', pour).once('data', () => parentPort.postMessage('busy'))
      })
    })`
  const round = async number => {
    const worker = new Worker(program, { eval: true, env: { ...process.env, SOCKET: path.join(folder, `${number}`) } })
    await once(worker, 'message')
    await worker.terminate()
  }
  await round(0)
  const before = descriptors()
  for (let number = 1; number <= 15; number++) await round(number)
  expect(descriptors()).toBeLessThanOrEqual(before + 1)
  expect(fs.readdirSync(folder)).toEqual([])
  fs.rmdirSync(folder)
})

test('everything happens with the other driver, too', () => {
  const program = `
    const { net, dgram } = require(${lib})
    const server = net.createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
      const client = net.connect(server.address().port, '127.0.0.1')
      for (let i = 0; i < 1000; i++) client.write('0123456789')
      let got = 0
      client.end().on('data', chunk => { got += chunk.length }).on('close', () => { server.close(); console.log(got) })
    })
    const receiver = dgram.createSocket('udp4').bind(0, '127.0.0.1', () => {
      receiver.once('message', message => { console.log(String(message)); receiver.close() })
      receiver.send('datagram', receiver.address().port)
    })`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], {
    encoding: 'utf8', timeout: 20_000, env: { ...process.env, INTERPROC_DRIVER: 'tokio' }
  })
  expect([stderr, status]).toEqual(['', 0])
  expect(stdout.trim().split('\n').sort()).toEqual(['10000', 'datagram'])
})

test('who transfers the memory of a chunk away takes no more than what is there', async () => {
  const server = await listening()
  const client = net.connect(server.address().port, '127.0.0.1')
  const [socket] = await once(server, 'connection')
  const taken = []
  for (let round = 0; round < 50; round++) {
    const text = `message ${round}`
    client.write(text)
    const [chunk] = await once(socket, 'data')
    expect(chunk.toString()).toBe(text)
    taken.push(structuredClone(chunk.buffer, { transfer: [chunk.buffer] }))
  }
  // The old memory is its new owner's: nothing that came later stands there.
  for (const [round, memory] of taken.entries()) expect(Buffer.from(memory).includes(`message ${round}`)).toBe(true)
  client.destroy()
  server.close()
  await once(server, 'close')
})
