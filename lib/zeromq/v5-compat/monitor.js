'use strict'

/** The names of version 5; the other events of version 6 it did not have. @type {Record<string, string>} */
const NAMES = {
  bind: 'listen',
  'bind:error': 'bind_error',
  accept: 'accept',
  'accept:error': 'accept_error',
  connect: 'connect',
  'connect:delay': 'connect_delay',
  'connect:retry': 'connect_retry',
  close: 'close',
  'close:error': 'close_error',
  disconnect: 'disconnect'
}

/**
 * Emits a socket's events until they end: `(value, address, error)`.
 * @param {import('node:events').EventEmitter & { closed: boolean }} emitter
 * @param {import('../observer')} events
 */
async function monitor (emitter, events) {
  try {
    for await (const { type, address, interval, error } of events) {
      const value = interval ?? (error === undefined ? undefined : /** @type {any} */ (error).errno ?? 0)
      if (type in NAMES) emitter.emit(NAMES[type], value, address, error)
    }
  } catch (error) {
    if (!emitter.closed) emitter.emit('error', error)
  }
}

module.exports = monitor
