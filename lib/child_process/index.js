'use strict'

/** `node:child_process`, with processes that are started off the JS thread. */

const { ChildProcess } = require('./child-process')
const { exec, execFile } = require('./exec')
const { fork, spawn } = require('./spawn')
const { execFileSync, execSync, spawnSync } = require('./sync')

/**
 * Its types are node:child_process's own (types/child_process.d.ts); here the compiler only sees to it that no name is missing.
 * @satisfies {Record<Exclude<keyof typeof import('../../types/child_process'), 'default'>, unknown>}
 */
const face = { ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync }

// What a child of `fork` runs at its start: Node's own, for the child is Node's.
const { _forkChild } = /** @type {any} */ (require('node:child_process'))
Object.defineProperty(face, '_forkChild', { value: _forkChild })

module.exports = face
