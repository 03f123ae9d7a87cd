'use strict'

// Every test in the first part runs on node:child_process and on ours: what is expected is what Node does.

const { once } = require('node:events')
const fs = require('node:fs')
const { constants: { errno }, tmpdir } = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')

const ours = require('../lib/child_process')
const theirs = require('node:child_process')

const fixture = name => path.join(__dirname, 'fixtures', name)

/** The events of a child and of its stdout, in order. */
function record (child) {
  const log = []
  child.on('spawn', () => log.push('spawn'))
  child.on('error', error => log.push(`error ${error.code}`))
  child.on('exit', (code, signal) => log.push(`exit ${code} ${signal}`))
  child.on('close', (code, signal) => log.push(`close ${code} ${signal}`))
  child.stdout?.on('data', () => log.push('data'))
  return log
}

async function text (stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe.each([['node:child_process', theirs], ['interproc/child_process', ours]])('%s', (_name, childProcess) => {
  const { spawn, exec, execFile, spawnSync, execSync, execFileSync } = childProcess

  test.each([
    ['an ordinary end', () => spawn('sh', ['-c', 'echo x; exit 3']), ['spawn', 'data', 'exit 3 null', 'close 3 null']],
    ['a signal', () => spawn('sh', ['-c', 'kill -9 $$']), ['spawn', 'exit null SIGKILL', 'close null SIGKILL']],
    ['no such file', () => spawn('no-such-program'), ['error ENOENT', `close -${errno.ENOENT} null`]],
    ['no right to execute', () => spawn('/etc/passwd'), ['error EACCES', `close -${errno.EACCES} null`]],
    ['a time limit', () => spawn('sleep', ['100'], { timeout: 50 }), ['spawn', 'exit null SIGTERM', 'close null SIGTERM']]
  ])('the events of %s', async (_case, start, expected) => {
    const child = start()
    const log = record(child)
    await once(child, 'close').catch(() => once(child, 'close'))
    expect(log).toEqual(expected)
  })

  test('an error names the program', async () => {
    const child = spawn('no-such-program', ['a', 'b'])
    expect(child.pid).toBeUndefined()
    const [error] = await new Promise(resolve => child.on('error', (...args) => resolve(args)))
    expect({ ...error, message: error.message }).toEqual({
      message: 'spawn no-such-program ENOENT',
      code: 'ENOENT',
      errno: -errno.ENOENT,
      syscall: 'spawn no-such-program',
      path: 'no-such-program',
      spawnargs: ['a', 'b']
    })
  })

  test.each([
    ['E2BIG', () => spawn('true', ['x'.repeat(200_000)])],
    ['EBADF', () => spawn('true', { stdio: ['pipe', 1023, 'pipe'] })],
    ['ENOTDIR', () => spawn('/etc/passwd/x')],
    ['ENOTDIR', () => spawn('true', { cwd: '/etc/passwd' })]
  ])('%s is thrown at the call', (code, start) => {
    expect(start).toThrow(`spawn ${code}`)
  })

  test('AbortSignal', async () => {
    const abort = new AbortController()
    const child = spawn('sleep', ['100'], { signal: abort.signal })
    const log = record(child)
    child.on('spawn', () => abort.abort(new Error('enough')))
    const [error] = await new Promise(resolve => child.on('error', (...args) => resolve(args)))
    expect([error.name, error.code, error.cause.message]).toEqual(['AbortError', 'ABORT_ERR', 'enough'])
    await once(child, 'close')
    expect(log).toEqual(['spawn', 'error ABORT_ERR', 'exit null SIGTERM', 'close null SIGTERM'])
  })

  test('three megabytes through cat', async () => {
    const child = spawn('cat')
    const sent = 'interproc'.repeat(333_333)
    child.stdin.end(sent)
    expect(await text(child.stdout) === sent).toBe(true)
  })

  test('pid at once, kill, killed, and no signal to the dead', async () => {
    const child = spawn('sleep', ['100'])
    expect(child.pid).toBeGreaterThan(0)
    expect(process.kill(child.pid, 0)).toBe(true)
    expect([child.kill(0), child.kill('SIGINT'), child.killed]).toEqual([true, true, true])
    await once(child, 'exit')
    expect([child.exitCode, child.signalCode, child.kill()]).toEqual([null, 'SIGINT', false])
    expect(() => child.kill('SIGNONE')).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_SIGNAL' }))
  })

  test('what is written to stdin of a child that has gone does no harm', async () => {
    const child = spawn('true')
    await once(child, 'close')
    expect(child.stdin.destroyed).toBe(true)
    await expect(new Promise((resolve, reject) => {
      child.stdin.write('x', error => error ? reject(error) : resolve())
    })).rejects.toThrow(expect.objectContaining({ code: 'ERR_STREAM_DESTROYED' }))
  })

  test('ignored, inherited, copied and additional descriptors', async () => {
    const file = path.join(tmpdir(), `interproc-stdio-${process.pid}`)
    const fd = fs.openSync(file, 'w')
    const child = spawn('sh', ['-c', 'echo file; echo three >&3; cat <&4; test -e /dev/fd/5 || echo none >&3'],
      { stdio: ['ignore', fd, 'ignore', 'pipe', 'pipe'] })
    fs.closeSync(fd) // At once: the child has its own.
    expect([child.stdin, child.stdout, child.stderr, child.stdio.length]).toEqual([null, null, null, 5])
    child.stdio[4].end('four\n')
    expect(await text(child.stdio[3])).toBe('three\nnone\n')
    const written = fs.readFileSync(file, 'utf8')
    fs.rmSync(file)
    expect(written).toBe('file\nfour\n')
  })

  test('a stream that stays open after the exit delays close, not exit', async () => {
    const child = spawn('sh', ['-c', 'sleep 0.2 & exit 0'])
    await once(child, 'exit')
    expect(child.stdout.destroyed).toBe(false)
    await once(child, 'close')
  })

  test('a child that closes its stdout lives on', async () => {
    const child = spawn('sh', ['-c', 'exec >&-; read line; exit 5'], { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdout.resume()
    await once(child.stdout, 'end')
    expect(child.exitCode).toBeNull()
    child.stdin.end('\n')
    expect(await once(child, 'exit')).toEqual([5, null])
  })

  test('cwd, argv0, env and shell', async () => {
    const run = async (...args) => (await text(spawn(...args).stdout)).trim()
    expect(await run('pwd', { cwd: '/usr/bin' })).toBe('/usr/bin')
    expect(await run('pwd', { cwd: new URL('file:///usr/bin') })).toBe('/usr/bin')
    expect(await run('/bin/sh', ['-c', 'echo $0'], { argv0: 'me' })).toBe('me')
    expect(await run('/usr/bin/env', { env: { ONE: 1, TWO: undefined, THREE: '' } })).toBe('ONE=1\nTHREE=')
    expect(await run('echo $GREETING | tr a-z A-Z', { shell: true, env: { ...process.env, GREETING: 'hello' } })).toBe('HELLO')
    const folder = fs.mkdtempSync(path.join(tmpdir(), 'interproc-'))
    fs.symlinkSync('/bin/echo', path.join(folder, 'only-here'))
    expect(await run('only-here', ['found'], { env: { PATH: folder } })).toBe('found')
    fs.rmSync(folder, { recursive: true })
  })

  test.each([
    [() => spawn(), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn(''), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('a\0b'), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', ['\0']), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', 'x'), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', [], null), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { cwd: 1 }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { cwd: 'a\0' }), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', { detached: 1 }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { uid: 'root' }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { gid: 2 ** 40 }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { shell: 1 }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { argv0: 1 }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { env: { A: '\0' } }), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', { stdio: 'what' }), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', { stdio: [{}] }), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', { stdio: ['ipc', 'ipc'] }), 'ERR_IPC_ONE_PIPE'],
    [() => spawn('true', { stdio: [Buffer.from('x')] }), 'ERR_INVALID_SYNC_FORK_INPUT'],
    [() => spawn('true', { serialization: 'xml' }), 'ERR_INVALID_ARG_VALUE'],
    [() => spawn('true', { timeout: -1 }), 'ERR_OUT_OF_RANGE'],
    [() => spawn('true', { killSignal: {} }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { killSignal: 'SIGNONE' }), 'ERR_UNKNOWN_SIGNAL'],
    [() => spawn('true', { signal: {} }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawn('true', { windowsHide: 1 }), 'ERR_INVALID_ARG_TYPE'],
    [() => exec(), 'ERR_INVALID_ARG_TYPE'],
    [() => execFile('true', 'x'), 'ERR_INVALID_ARG_TYPE'],
    [() => execFile('true', { maxBuffer: -1 }), 'ERR_OUT_OF_RANGE'],
    [() => spawnSync('true', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] }), 'ERR_IPC_SYNC_FORK'],
    [() => spawnSync('true', { input: 1 }), 'ERR_INVALID_ARG_TYPE'],
    [() => spawnSync('true', { timeout: 1.5 }), 'ERR_OUT_OF_RANGE'],
    [() => new childProcess.ChildProcess().spawn(), 'ERR_INVALID_ARG_TYPE'],
    [() => new childProcess.ChildProcess().spawn({ file: 1 }), 'ERR_INVALID_ARG_TYPE']
  ])('bad arguments: %s', (call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }))
  })

  test('exec and execFile collect', async () => {
    expect(await promisify(exec)('echo out; echo err >&2')).toEqual({ stdout: 'out\n', stderr: 'err\n' })
    const { stdout } = await promisify(execFile)('printf', ['\\377'], { encoding: 'buffer' })
    expect([...stdout]).toEqual([255])
    await expect(promisify(exec)('echo why >&2; exit 4')).rejects.toMatchObject({
      message: 'Command failed: echo why >&2; exit 4\nwhy\n', code: 4, killed: false, signal: null, cmd: 'echo why >&2; exit 4', stderr: 'why\n'
    })
    await expect(promisify(execFile)('yes', { maxBuffer: 1000 })).rejects.toMatchObject({ code: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER', cmd: 'yes' })
    await expect(promisify(execFile)('sleep', ['100'], { timeout: 50, killSignal: 'SIGKILL' })).rejects
      .toMatchObject({ killed: true, signal: 'SIGKILL' })
    await expect(promisify(execFile)('no-such-program')).rejects.toMatchObject({ code: 'ENOENT', cmd: 'no-such-program' })
    expect(promisify(exec)('true').child.spawnfile).toBe('/bin/sh')
  })

  test('spawnSync', () => {
    const echoed = spawnSync('cat', { input: 'hello', encoding: 'utf8' })
    expect(echoed).toEqual({ pid: expect.any(Number), status: 0, signal: null, output: [null, 'hello', ''], stdout: 'hello', stderr: '' })
    const sent = Buffer.alloc(3_000_000, 7)
    expect(spawnSync('cat', { input: sent, maxBuffer: Infinity }).stdout.equals(sent)).toBe(true)
    expect(spawnSync('sh', ['-c', 'exit 9']).status).toBe(9)
    const missing = spawnSync('no-such-program', ['x'])
    expect(missing).toMatchObject({ pid: 0, status: null, signal: null, output: null, stdout: null })
    expect(missing.error).toMatchObject({ message: 'spawnSync no-such-program ENOENT', path: 'no-such-program', spawnargs: ['x'] })
    expect(spawnSync('sleep', ['100'], { timeout: 50 })).toMatchObject({ signal: 'SIGTERM', status: null, error: { code: 'ETIMEDOUT' } })
    expect(spawnSync('yes', { maxBuffer: 10, killSignal: 'SIGKILL' })).toMatchObject({ signal: 'SIGKILL', error: { code: 'ENOBUFS' } })
    expect(spawnSync('true', { stdio: 'ignore' }).output).toEqual([null, null, null])
  })

  test('execSync and execFileSync', () => {
    expect(execSync('echo out', { encoding: 'utf8' })).toBe('out\n')
    expect(execFileSync('echo', ['out']).toString()).toBe('out\n')
    expect(() => execSync('echo why >&2; exit 4', { stdio: 'pipe' })).toThrow(expect.objectContaining({
      message: 'Command failed: echo why >&2; exit 4\nwhy\n', status: 4
    }))
    expect(() => execFileSync('no-such-program')).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })

  test('unref lets the parent go', () => {
    const program = `const child = require(${JSON.stringify(childProcess === ours ? require.resolve('../lib/child_process') : 'child_process')})
      .spawn('sleep', ['1000'], { stdio: 'ignore' }); child.unref(); console.log(child.pid)`
    const { status, stdout } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 20_000 })
    process.kill(Number(stdout))
    expect(status).toBe(0)
  })

  test('what was spawned runs even if the parent exits in the same tick', () => {
    const file = path.join(tmpdir(), `interproc-late-${process.pid}`)
    const program = `require(${JSON.stringify(childProcess === ours ? require.resolve('../lib/child_process') : 'child_process')})
      .spawn('sh', ['-c', 'echo done > ${file}'], { stdio: 'ignore', detached: true }); process.exit()`
    expect(spawnSync(process.execPath, ['-e', program]).status).toBe(0)
    while (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') === '') spawnSync('sleep', ['0.01'])
    fs.rmSync(file)
  })
})

describe('what Node does not do', () => {
  const { spawn } = ours

  /** A program of its own, so that counts are not those of other tests. */
  function runFixture (...args) {
    const { status, stdout, stderr } = theirs.spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    return stdout
  }

  test('a broken pipe to the child does not end the parent', async () => {
    const child = spawn('sh', ['-c', 'exec <&-; sleep 0.2'])
    child.stdin.on('close', () => {})
    const written = new Promise(resolve => child.stdin.write(Buffer.alloc(10_000_000), resolve))
    expect(await written).toMatchObject({ code: 'EPIPE' })
    await once(child, 'close')
  })

  test('with a listener it is an error as in Node', async () => {
    const child = spawn('sh', ['-c', 'exec <&-; sleep 0.2'])
    child.stdin.write(Buffer.alloc(10_000_000))
    const [error] = await new Promise(resolve => child.stdin.on('error', (...args) => resolve(args)))
    expect(error.code).toBe('EPIPE')
    await once(child, 'close')
  })

  test('a listener that throws takes nothing along: no output, no close, no message', () => {
    expect(JSON.parse(runFixture(fixture('child-throwing-listeners.js')))).toEqual([
      'uncaught spawn', 'output', 'uncaught exit', 'uncaught error', 'uncaught message', 2, 3
    ])
  })

  test('dieWithParent: kill -9 of the parent takes the child along', async () => {
    const parent = spawn(process.execPath, [fixture('child-that-dies-along.js')])
    const [line] = await once(parent.stdout.setEncoding('utf8'), 'data')
    const pid = Number(line)
    expect(process.kill(pid, 0)).toBe(true)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    while (alive(pid)) await new Promise(resolve => setTimeout(resolve, 5))
  })

  test('200 at once: each has its own output, none leaves a zombie or a descriptor', () => {
    expect(runFixture(fixture('child-storm.js'))).toBe('200 children, 0 descriptors more, 0 zombies\n')
  })

  test('children of workers that are terminated leave no zombie', () => {
    expect(runFixture(fixture('child-of-worker.js'))).toBe('0 zombies, 0 descriptors more\n')
  })

  test('EMFILE is told, and what was opened is closed', () => {
    const program = `ulimit -n 60; exec ${process.execPath} ${fixture('child-without-descriptors.js')}`
    expect(runFixture('-e', `process.stdout.write(require('child_process').execSync(${JSON.stringify(program)}))`)).toBe('EMFILE, then 0\n')
  })

  test('children of node:child_process beside ours', async () => {
    const all = Array.from({ length: 20 }, (_, i) => (i % 2 ? ours : theirs).spawn('sh', ['-c', `exit ${i}`]))
    expect(await Promise.all(all.map(async child => (await once(child, 'exit'))[0]))).toEqual(all.map((_, i) => i))
  })
})

function alive (pid) {
  try {
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z')
  } catch {
    return false
  }
}
