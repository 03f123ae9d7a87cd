// What programs may write against `interproc/child_process`, and what they may not.

import { type ChildProcess, execFile, fork, spawn, spawnSync } from 'interproc/child_process'
import * as interproc from 'interproc'

const child: ChildProcess = spawn('cat', ['-n'], { stdio: ['pipe', 'inherit', 2], dieWithParent: true })
child.kill('SIGTERM')
const forked = interproc.fork('./child.js', ['a'], { serialization: 'advanced', dieWithParent: true })
forked.send({ buffer: interproc.SharedBuffer.alloc(8) })
const text: string = spawnSync('true', { encoding: 'utf8' }).stdout
execFile('ls', ['-l'], (error, stdout) => void [error?.code, stdout.length])
void text

// @ts-expect-error no such option
spawn('cat', [], { dieWithChild: true })
// @ts-expect-error a module is named
fork()
