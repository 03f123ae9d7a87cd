'use strict'

/**
 * Sockets of one server that live in another process: the server counts them, and closes when the last of them has.
 * Node's messages `NODE_SOCKET_GET_COUNT`, `_COUNT`, `_NOTIFY_CLOSE` and `_ALL_CLOSED`, on the channel they travelled on.
 */

const { EventEmitter } = require('node:events')
const { ERR_CHILD_CLOSED_BEFORE_REPLY } = require('../errors')

/** On the side of the server; one of its `_workers`. Emits `'exit'` with the child. */
class SentSockets extends EventEmitter {
  #child
  #key

  /**
   * @param {any} child
   * @param {string} key of the server
   */
  constructor (child, key) {
    super()
    this.#child = child
    this.#key = key
    child.once('exit', () => this.emit('exit', this))
  }

  /** @param {(error: Error | null) => void} closed when no socket is left there */
  close (closed) {
    this.#ask('NODE_SOCKET_NOTIFY_CLOSE', 'NODE_SOCKET_ALL_CLOSED', closed)
  }

  /** @param {(error: Error | null, count?: number) => void} counted */
  getConnections (counted) {
    this.#ask('NODE_SOCKET_GET_COUNT', 'NODE_SOCKET_COUNT', (error, answer) => error ? counted(error) : counted(null, answer.count))
  }

  /**
   * @param {string} question
   * @param {string} answer
   * @param {(error: Error | null, message?: any) => void} done
   */
  #ask (question, answer, done) {
    const child = this.#child
    const gone = () => {
      child.removeListener('internalMessage', heard)
      done(new ERR_CHILD_CLOSED_BEFORE_REPLY())
    }
    const heard = (/** @type {any} */ message) => {
      if (message.cmd !== answer || message.key !== this.#key) return
      child.removeListener('disconnect', gone)
      child.removeListener('internalMessage', heard)
      done(null, message)
    }
    if (!child.connected) return gone()
    child.once('disconnect', gone)
    child.on('internalMessage', heard)
    child._send({ cmd: question, key: this.#key }, undefined, { swallowErrors: true })
  }
}

/** On the side of the sockets: counts them and answers. */
class ReceivedSockets {
  #child
  #key
  #count = 0
  /** The server is closing and waits for the last one. */
  #closing = false

  /**
   * @param {any} child
   * @param {string} key of the server
   */
  constructor (child, key) {
    this.#child = child
    this.#key = key
    child.on('internalMessage', (/** @type {any} */ message) => {
      if (message.key !== key) return
      if (message.cmd === 'NODE_SOCKET_GET_COUNT') this.#tell({ cmd: 'NODE_SOCKET_COUNT', count: this.#count })
      else if (message.cmd === 'NODE_SOCKET_NOTIFY_CLOSE') this.#close()
    })
  }

  /** @param {import('node:events').EventEmitter} socket */
  add (socket) {
    this.#count += 1
    socket.once('close', () => {
      this.#count -= 1
      if (this.#closing) this.#close()
    })
  }

  #close () {
    this.#closing = this.#count > 0
    if (!this.#closing) this.#tell({ cmd: 'NODE_SOCKET_ALL_CLOSED' })
  }

  /** @param {object} message */
  #tell (message) {
    if (this.#child.connected) this.#child._send({ ...message, key: this.#key }, undefined, { swallowErrors: true })
  }
}

/** The lists of one channel, by the key of the server. */
class SocketLists {
  #child
  /** @type {Map<string, SentSockets>} */
  #sent = new Map()
  /** @type {Map<string, ReceivedSockets>} */
  #received = new Map()

  /** @param {any} child */
  constructor (child) {
    this.#child = child
  }

  /**
   * A connection of `server` leaves: the key to send along, if that server can count elsewhere.
   * @param {any} server
   * @returns {string | undefined}
   */
  sent (server) {
    const key = server._connectionKey
    if (!key || typeof server._setupWorker !== 'function') return undefined
    if (!this.#sent.has(key)) {
      const list = new SentSockets(this.#child, key)
      this.#sent.set(key, list)
      server._setupWorker(list)
    }
    return key
  }

  /**
   * @param {string} key
   * @param {any} socket
   */
  received (key, socket) {
    if (!this.#received.has(key)) this.#received.set(key, new ReceivedSockets(this.#child, key))
    this.#received.get(key)?.add(socket)
  }
}

module.exports = { SocketLists }
