'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const crypto = require('node:crypto')
const stream = require('node:stream')
const v8 = require('node:v8')
const zlib = require('node:zlib')
const { SharedBuffer, list, remove } = require('../lib/shared')
const { METHODS, argumentsOf, outcomeOf } = require('./fixtures/buffer-calls')
const { randomName, run, segmentsNamed } = require('./fixtures/shared-support')
const { onlyIf } = require('./fixtures/only-if')

afterAll(() => expect(segmentsNamed()).toEqual([]))

describe('a SharedBuffer is a Buffer', () => {
  const buffer = SharedBuffer.from('hello world')
  afterAll(() => buffer.close())

  test('by every check', () => {
    expect(Buffer.isBuffer(buffer)).toBe(true)
    expect(buffer).toBeInstanceOf(Buffer)
    expect(buffer).toBeInstanceOf(Uint8Array)
    expect(buffer.buffer).toBeInstanceOf(ArrayBuffer)
    expect(ArrayBuffer.isView(buffer)).toBe(true)
    expect(SharedBuffer.isSharedBuffer(buffer)).toBe(true)
    expect(SharedBuffer.isSharedBuffer(Buffer.from('x'))).toBe(false)
    expect(buffer.equals(Buffer.from('hello world'))).toBe(true)
    expect(Object.prototype.toString.call(buffer)).toBe('[object Uint8Array]')
    expect(require('node:util').inspect(buffer)).toBe('<SharedBuffer 68 65 6c 6c 6f 20 77 6f 72 6c 64>')
  })

  test('typed arrays, DataView and Atomics share its bytes', () => {
    const memory = SharedBuffer.alloc(32)
    new Int32Array(memory.buffer)[1] = 7
    expect(memory.readInt32LE(4)).toBe(7)
    expect(new DataView(memory.buffer, memory.byteOffset).getInt32(4, true)).toBe(7)
    expect(Atomics.add(new Int32Array(memory.buffer), 1, 3)).toBe(7)
    expect(Atomics.compareExchange(new BigInt64Array(memory.buffer), 2, 0n, 5n)).toBe(0n)
    expect(memory.readBigInt64LE(16)).toBe(5n)
    memory.close()
  })

  test('slices stay shared', () => {
    for (const method of ['subarray', 'slice']) {
      const slice = buffer[method](6, -1)
      expect(slice).toBeInstanceOf(SharedBuffer)
      expect(slice.toString()).toBe('worl')
      slice[0] = 0x57
      expect(buffer.toString()).toBe('hello World')
      slice[0] = 0x77
      expect(slice[method](1).buffer).toBe(buffer.buffer)
    }
    expect(buffer.map(byte => byte + 1).buffer).not.toBe(buffer.buffer)
  })
})

test.each(METHODS)('Buffer.prototype.%s does the same on a SharedBuffer', name => {
  for (const args of argumentsOf(name)) {
    const plain = Buffer.from('hello world!')
    const shared = SharedBuffer.from('hello world!')
    expect(outcomeOf(shared, name, args)).toEqual(outcomeOf(plain, name, args))
    expect([...shared]).toEqual([...plain])
    shared.close()
  }
})

test('every static of Buffer is there, and answers the same about a SharedBuffer', () => {
  const buffer = SharedBuffer.from('hello')
  for (const name of Reflect.ownKeys(Buffer)) expect({ name, type: typeof SharedBuffer[name] }).toEqual({ name, type: typeof Buffer[name] })
  expect(SharedBuffer.byteLength(buffer)).toBe(5)
  expect(SharedBuffer.isBuffer(buffer)).toBe(true)
  expect(SharedBuffer.isEncoding('hex')).toBe(true)
  expect(SharedBuffer.compare(buffer, Buffer.from('hellp'))).toBe(-1)
  expect(Buffer.concat([buffer, buffer]).toString()).toBe('hellohello')
  expect([buffer.parent, buffer.offset]).toEqual([buffer.buffer, 0])
  buffer.close()
})

describe('making one', () => {
  test.each([
    ['alloc(3)', () => SharedBuffer.alloc(3), [0, 0, 0]],
    ['alloc(0)', () => SharedBuffer.alloc(0), []],
    ['alloc(3, fill)', () => SharedBuffer.alloc(3, 7), [7, 7, 7]],
    ['alloc(4, text, encoding, options)', () => SharedBuffer.alloc(4, 'ff00', 'hex', {}), [255, 0, 255, 0]],
    ['allocUnsafe', () => SharedBuffer.allocUnsafe(2), [0, 0]],
    ['allocUnsafeSlow', () => SharedBuffer.allocUnsafeSlow(2), [0, 0]],
    ['from(text)', () => SharedBuffer.from('ab'), [97, 98]],
    ['from(text, encoding)', () => SharedBuffer.from('ff01', 'hex'), [255, 1]],
    ['from(array)', () => SharedBuffer.from([1, 2]), [1, 2]],
    ['from(buffer)', () => SharedBuffer.from(Buffer.from([1, 2])), [1, 2]],
    ['from(arrayBuffer, offset, length)', () => SharedBuffer.from(new Uint8Array([1, 2, 3]).buffer, 1, 1), [2]],
    ['of', () => SharedBuffer.of(1, 2), [1, 2]],
    ['concat', () => SharedBuffer.concat([Buffer.from([1]), Buffer.from([2])]), [1, 2]],
    ['concat with a length', () => SharedBuffer.concat([Buffer.from([1]), Buffer.from([2])], 3), [1, 2, 0]],
    ['copyBytesFrom', () => SharedBuffer.copyBytesFrom(new Uint16Array([1, 2]), 1), [2, 0]]
  ])('%s', (_, make, bytes) => {
    const buffer = make()
    expect(SharedBuffer.isSharedBuffer(buffer)).toBe(true)
    expect([...buffer]).toEqual(bytes)
    expect(buffer.name).toBe(null)
    expect(SharedBuffer.open(buffer.ticket)).toBe(buffer)
    buffer.close()
  })

  test('with a name, opened by name and by ticket', () => {
    const name = randomName('größe/../x')
    const buffer = SharedBuffer.from('named', { name })
    expect(buffer.name).toBe(name)
    expect(buffer.persistent).toBe(false)
    expect(SharedBuffer.open(name)).toBe(buffer)
    expect(SharedBuffer.open(buffer.ticket)).toBe(buffer)
    expect(list().find(info => info.name === name)).toMatchObject({
      kind: 'buffer', size: 5, persistent: false, health: 'in use', users: [{ pid: process.pid, alive: true, since: expect.any(Date) }]
    })
    buffer.close()
    expect(() => SharedBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ENOENT', syscall: 'open', path: name }))
  })

  test('what cannot be filled leaves nothing behind', () => {
    const name = randomName()
    for (const [fill, encoding, code] of [['a', 'bad', 'ERR_UNKNOWN_ENCODING'], ['zz', 'hex', 'ERR_INVALID_ARG_VALUE'], [Buffer.alloc(0), undefined, 'ERR_INVALID_ARG_VALUE']]) {
      for (const persistent of [false, true]) {
        expect(() => SharedBuffer.alloc(16, fill, encoding, { name, persistent })).toThrow(expect.objectContaining({ code }))
      }
    }
    expect(list().filter(info => info.name === name)).toEqual([])
    const buffer = SharedBuffer.alloc(16, 'a', 'utf8', { name })
    expect(buffer.toString()).toBe('a'.repeat(16))
    buffer.close()
    for (const [fill, encoding] of [['YWJj', 'base64'], ['\u20ac', 'utf8'], ['\u20ac', 'utf16le'], ['abcdef', 'hex'], [Buffer.from('abc')], [new Uint16Array([1, 515])], [257], ['']]) {
      const filled = SharedBuffer.alloc(7, fill, encoding, {})
      expect([...filled]).toEqual([...Buffer.alloc(7, fill, encoding)])
      filled.close()
    }
  })

  test('a ticket of a slice means the slice', () => {
    const buffer = SharedBuffer.from('0123456789')
    const slice = SharedBuffer.open(buffer.subarray(2, 5).ticket)
    expect(slice.toString()).toBe('234')
    slice[0] = 65
    expect(buffer[2]).toBe(65)
    expect(() => SharedBuffer.open(`${buffer.ticket}#5+6`)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
    buffer.close()
  })

  test('persistent: stays when the last user leaves, until it is removed', async () => {
    const name = randomName()
    SharedBuffer.from('stay', { name, persistent: true }).close()
    const { stdout } = await run(`const b = SharedBuffer.open(${JSON.stringify(name)}); console.log(b.toString(), b.persistent); b.write('went')`)
    expect(stdout).toBe('stay true\n')
    const buffer = SharedBuffer.open(name)
    expect(buffer.toString()).toBe('went')
    expect(remove(name)).toBe(false)
    buffer.close()
    expect(remove(name)).toBe(true)
    expect(() => remove(name)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})

describe('bad input', () => {
  const taken = randomName()
  const buffer = SharedBuffer.alloc(10, { name: taken })
  afterAll(() => buffer.close())

  test.each([
    ['a size that is no number', () => SharedBuffer.alloc('5'), 'ERR_INVALID_ARG_TYPE'],
    ['a negative size', () => SharedBuffer.alloc(-1), 'ERR_OUT_OF_RANGE'],
    ['half a byte', () => SharedBuffer.alloc(1.5), 'ERR_OUT_OF_RANGE'],
    ['more than a buffer may have', () => SharedBuffer.alloc(2 ** 53), 'ERR_OUT_OF_RANGE'],
    ['a name that is no string', () => SharedBuffer.alloc(1, { name: 5 }), 'ERR_INVALID_ARG_TYPE'],
    ['an empty name', () => SharedBuffer.alloc(1, { name: '' }), 'ERR_INVALID_ARG_VALUE'],
    ['a name of 201 bytes', () => SharedBuffer.alloc(1, { name: 'ü'.repeat(100) + 'x' }), 'ERR_INVALID_ARG_VALUE'],
    ['a name with NUL', () => SharedBuffer.alloc(1, { name: 'a\0b' }), 'ERR_INVALID_ARG_VALUE'],
    ['a name that looks like a ticket', () => SharedBuffer.alloc(1, { name: 'interproc:x' }), 'ERR_INVALID_ARG_VALUE'],
    ['a persistent that is no boolean', () => SharedBuffer.alloc(1, { persistent: 1 }), 'ERR_INVALID_ARG_TYPE'],
    ['a name that is taken', () => SharedBuffer.alloc(1, { name: taken }), 'EEXIST'],
    ['opening nothing', () => SharedBuffer.open(), 'ERR_INVALID_ARG_TYPE'],
    ['opening a foreign object', () => SharedBuffer.open({ ticket: buffer.ticket }), 'ERR_INVALID_ARG_TYPE'],
    ['opening what is not there', () => SharedBuffer.open(randomName()), 'ENOENT'],
    ['a half ticket', () => SharedBuffer.open(buffer.ticket.slice(0, -1)), 'ERR_INVALID_ARG_VALUE'],
    ['a ticket that climbs', () => SharedBuffer.open('interproc:1:../../../etc/passwd:0'), 'ERR_INVALID_ARG_VALUE'],
    ['a ticket of another kind', () => SharedBuffer.open(buffer.ticket.replace('interproc:1', 'interproc:2')), 'ERR_SHARED_KIND'],
    ['a ticket of another segment', () => SharedBuffer.open(buffer.ticket.replace(/.{4}$/, '0000')), 'ENOENT'],
    ['a ticket with a huge slice', () => SharedBuffer.open(`${buffer.ticket}#9999999999999999+9999999999999999`), 'ERR_OUT_OF_RANGE'],
    ['a readOnly that is no boolean', () => SharedBuffer.open(taken, { readOnly: 'yes' }), 'ERR_INVALID_ARG_TYPE'],
    ['making one by new', () => new SharedBuffer(5), 'ERR_ILLEGAL_CONSTRUCTOR'],
    ['making one over foreign memory', () => new SharedBuffer(new ArrayBuffer(5)), 'ERR_ILLEGAL_CONSTRUCTOR']
  ])('%s', (_, call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }))
    let error
    try {
      call()
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(Error)
    expect(error.stack).toContain(__filename)
  })

  const onLinux = onlyIf(process.platform === 'linux', 'it is about Linux')
  onLinux('a damaged file is an error, whatever is damaged', () => {
    const name = randomName()
    SharedBuffer.from('x'.repeat(100), { name, persistent: true }).close()
    const file = path.join('/dev/shm', list().find(info => info.name === name).fileName)
    const good = fs.readFileSync(file)
    const codes = new Set()
    for (let at = 0; at < 368; at++) {
      const bad = Buffer.from(good)
      bad[at] ^= 1 + crypto.randomInt(255)
      fs.writeFileSync(file, bad)
      try {
        SharedBuffer.open(name)
        throw new Error(`byte ${at} was not noticed`)
      } catch (error) {
        codes.add(error.code)
      }
    }
    expect([...codes].sort()).toEqual(['ERR_SHARED_DAMAGED', 'ERR_SHARED_LAYOUT'])
    for (const length of [0, 100, 4096, good.length - 1]) {
      fs.writeFileSync(file, good.subarray(0, length))
      expect(() => SharedBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ERR_SHARED_DAMAGED' }))
    }
    fs.writeFileSync(file, good)
    expect(SharedBuffer.open(name).length).toBe(100)
    SharedBuffer.open(name).close()
    remove(name)
  })
})

describe('close', () => {
  test('empties every view, once and for all', () => {
    const buffer = SharedBuffer.alloc(16)
    const views = [buffer, buffer.subarray(2, 5), new Int32Array(buffer.buffer), new Uint8Array(buffer.buffer, 4, 2)]
    const data = new DataView(buffer.buffer)
    expect(buffer.closed).toBe(false)
    buffer.subarray(2).close()
    expect(buffer.closed).toBe(true)
    expect(views.map(view => view.length)).toEqual([0, 0, 0, 0])
    expect(buffer[0]).toBe(undefined)
    expect(buffer.toString()).toBe('')
    expect(buffer.toString('utf8', 0, 5)).toBe('')
    expect(() => data.getInt8(0)).toThrow('detached')
    expect(() => buffer.writeInt8(1)).toThrow(expect.objectContaining({ name: 'RangeError' }))
    expect(() => buffer.ticket).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
    expect(() => JSON.stringify(buffer)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
    buffer.close()
  })

  const withDispose = onlyIf(Symbol.dispose !== undefined, 'this version of Node has no Symbol.dispose')
  withDispose('is what Symbol.dispose does', () => {
    const name = randomName()
    const buffer = SharedBuffer.alloc(1, { name })
    buffer[Symbol.dispose]()
    expect(buffer.closed).toBe(true)
    expect(segmentsNamed().map(info => info.name)).not.toContain(name)
  })

  test('after the bytes were transferred away lets them live where they are', () => {
    const buffer = SharedBuffer.from('gone')
    if (buffer.buffer.transfer === undefined) return buffer.close()
    const moved = buffer.buffer.transfer()
    buffer.close()
    expect(Buffer.from(moved).toString()).toBe('gone')
  })

  test('lets the same name be made anew, of another size', () => {
    const name = randomName()
    for (const size of [10, 0, 5000]) {
      const buffer = SharedBuffer.alloc(size, { name })
      expect(buffer.length).toBe(size)
      buffer.close()
    }
  })
})

describe('opened with readOnly', () => {
  const buffer = SharedBuffer.from('x'.repeat(10_000))
  const reader = SharedBuffer.open(buffer.ticket, { readOnly: true })
  afterAll(() => [buffer, reader].forEach(each => each.close()))

  test('shows what others write', () => {
    expect(reader.readOnly).toBe(true)
    expect(buffer.readOnly).toBe(false)
    expect(reader).not.toBe(buffer)
    expect(SharedBuffer.open(buffer.ticket, { readOnly: true })).toBe(reader)
    buffer.write('written', 100)
    expect(reader.toString('utf8', 100, 107)).toBe('written')
    expect(reader.constructor).toBe(SharedBuffer)
  })

  test('no writing method does anything but throw', () => {
    const before = Buffer.from(buffer)
    const writers = METHODS.filter(name => /^write|Write$|^(copyWithin|fill|reverse|set|sort|swap\d\d)$/.test(name))
    expect(writers.length).toBeGreaterThan(30)
    for (const name of writers) {
      expect(() => reader.subarray(1)[name](1, 2, 3)).toThrow(expect.objectContaining({ code: 'ERR_SHARED_READ_ONLY' }))
    }
    expect(Buffer.compare(buffer, before)).toBe(0)
  })

  test('a stray store neither reaches others nor ends the process; its page no longer follows them, other pages do', () => {
    reader[5000] = 1
    new Uint8Array(reader.buffer)[5001] = 2
    expect([buffer[5000], buffer[5001]]).toEqual([0x78, 0x78])
    buffer[5002] = 3
    buffer[9000] = 4
    expect([reader[5000], reader[5002], reader[9000]]).toEqual([1, 0x78, 4])
  })
})

describe('what takes a Buffer takes it', () => {
  const text = 'some text, '.repeat(1000)
  const buffer = SharedBuffer.from(text)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interproc-shared-'))
  afterAll(() => {
    buffer.close()
    fs.rmSync(folder, { recursive: true })
  })

  test('fs', async () => {
    const file = path.join(folder, 'file')
    fs.writeFileSync(file, buffer)
    expect(fs.readFileSync(file, 'utf8')).toBe(text)
    const target = SharedBuffer.alloc(buffer.length)
    const handle = await fs.promises.open(file)
    await handle.read(target, 0, target.length, 0)
    await handle.close()
    expect(target.equals(buffer)).toBe(true)
    target.close()
  })

  test('crypto and zlib', () => {
    expect(crypto.createHash('sha256').update(buffer).digest('hex')).toBe(crypto.createHash('sha256').update(text).digest('hex'))
    expect(zlib.inflateSync(zlib.deflateSync(buffer)).toString()).toBe(text)
    const random = SharedBuffer.alloc(64)
    crypto.randomFillSync(random)
    expect(random.some(byte => byte !== 0)).toBe(true)
    random.close()
  })

  test('streams', async () => {
    const file = path.join(folder, 'stream')
    await stream.promises.pipeline(stream.Readable.from([buffer, buffer.subarray(0, 4)]), fs.createWriteStream(file))
    expect(fs.readFileSync(file, 'utf8')).toBe(`${text}some`)
    const decoded = new stream.PassThrough({ encoding: 'utf8' })
    decoded.end(buffer)
    expect((await decoded.toArray()).join('')).toBe(text)
  })

  test('copies by structuredClone, v8.serialize and Blob', async () => {
    expect(Buffer.from(structuredClone(buffer)).toString()).toBe(text)
    expect(Buffer.from(v8.deserialize(v8.serialize(buffer))).toString()).toBe(text)
    expect(await new Blob([buffer]).text()).toBe(text)
  })

  test('decoders', () => {
    expect(new TextDecoder().decode(buffer)).toBe(text)
    expect(new TextDecoder().decode(buffer.buffer)).toBe(text)
    expect(new TextDecoder('latin1').decode(new DataView(buffer.buffer, 0, 4))).toBe('some')
    expect(new TextDecoder().decode()).toBe('')
    expect(() => new TextDecoder().decode(5)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    const { StringDecoder } = require('node:string_decoder')
    expect(new StringDecoder('utf8').end(buffer.subarray(0, 4))).toBe('some')
    expect(TextDecoder.prototype.decode.name).toBe('decode')
  })
})

test('two copies of the module share memory, and each has its own buffers', () => {
  const buffer = SharedBuffer.from('both')
  let again
  jest.isolateModules(() => { again = require('../lib/shared').SharedBuffer.open(buffer.ticket) })
  expect(again).not.toBe(buffer)
  expect(again.buffer).toBe(buffer.buffer)
  expect(again).toBeInstanceOf(Buffer)
  expect(again.toString()).toBe('both')
  again.close()
  expect(buffer.length).toBe(0)
  buffer.close()
})

test('what is not closed goes when it is collected', async () => {
  const { stdout, stderr } = await run(`
    const name = ${JSON.stringify(randomName())}
    let buffer = SharedBuffer.alloc(1e6, { name })
    let slice = buffer.subarray(5, 10)
    const there = () => shared.list().filter(info => info.name === name).length
    const collect = async () => { for (let i = 0; i < 20 && there() > 0; i++) { gc(); await new Promise(resolve => setTimeout(resolve, 20)) } }
    ;(async () => {
      buffer = undefined
      await collect()
      console.log('with a slice left:', there(), SharedBuffer.open(name).length, slice.length)
      slice = undefined
      await collect()
      console.log('with nothing left:', there())
    })()`, { args: ['--expose-gc'] })
  expect(stderr).toBe('')
  expect(stdout).toBe('with a slice left: 1 1000000 5\nwith nothing left: 0\n')
})
