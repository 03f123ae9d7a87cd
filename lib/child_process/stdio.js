'use strict'

/** The `stdio` option: from its many spellings to one entry per descriptor of the child. */

const { inspect } = require('node:util')
const {
  ERR_INVALID_ARG_VALUE, ERR_INVALID_SYNC_FORK_INPUT, ERR_IPC_ONE_PIPE, ERR_IPC_SYNC_FORK
} = require('../errors')

module.exports = { normalizeStdio, stdioArray }

/**
 * @typedef {object} Entry one descriptor of the child
 * @property {'ignore' | 'pipe' | 'overlapped' | 'inherit' | 'fd' | 'wrap'} type
 * @property {number} [fd] of this process
 * @property {boolean} [ipc] the channel of `send` and `'message'`
 * @property {any} [stream] a stream whose descriptor the child gets, and that must not read any more
 * @property {any} [input] bytes for a synchronous child
 */

/**
 * @param {any} stdio a word, or an array with one element per descriptor
 * @param {boolean} sync for a blocking call: no channel
 * @returns {{ entries: Entry[], ipcFd: number | undefined }}
 */
function normalizeStdio (stdio, sync) {
  if (typeof stdio === 'string') stdio = stdioArray(stdio)
  else if (!Array.isArray(stdio)) throw new ERR_INVALID_ARG_VALUE('stdio', stdio)
  // Node extends the array that it was given; programs see that.
  while (stdio.length < 3) stdio.push(undefined)
  /** @type {Entry[]} */
  const entries = []
  let ipcFd
  for (let i = 0; i < stdio.length; i++) {
    const entry = normalizeOne(stdio[i], i, sync)
    if (entry?.ipc) {
      if (sync) throw new ERR_IPC_SYNC_FORK()
      if (ipcFd !== undefined) throw new ERR_IPC_ONE_PIPE()
      ipcFd = i
    }
    if (entry !== null) entries.push(entry)
  }
  return { entries, ipcFd }
}

/**
 * @param {string} word
 * @param {string} [channel] one more element
 * @returns {any[]}
 */
function stdioArray (word, channel) {
  let all
  if (word === 'ignore' || word === 'overlapped' || word === 'pipe') all = [word, word, word]
  else if (word === 'inherit') all = [0, 1, 2]
  else throw new ERR_INVALID_ARG_VALUE('stdio', word)
  return channel ? [...all, channel] : all
}

/**
 * @param {any} item
 * @param {number} number
 * @param {boolean} sync
 * @returns {Entry | null}
 */
function normalizeOne (item, number, sync) {
  item ??= number < 3 ? 'pipe' : 'ignore'
  if (item === 'ignore') return { type: 'ignore' }
  if (item === 'pipe' || item === 'overlapped') return { type: item }
  if (typeof item === 'number' && item < 0) return { type: 'pipe' }
  if (item === 'ipc') return { type: 'pipe', ipc: true }
  if (item === 'inherit') return { type: 'inherit', fd: number }
  if (typeof item === 'number') return { type: 'fd', fd: item }
  if (typeof item.fd === 'number') return { type: 'fd', fd: item.fd }
  const handle = [item, item.handle, item._handle].find(one => typeof one?.fd === 'number' && typeof one.close === 'function')
  if (handle !== undefined) return { type: 'wrap', fd: handle.fd, stream: item }
  if (ArrayBuffer.isView(item) || typeof item === 'string') {
    if (!sync) throw new ERR_INVALID_SYNC_FORK_INPUT(inspect(item))
    return null
  }
  throw new ERR_INVALID_ARG_VALUE('stdio', item)
}
