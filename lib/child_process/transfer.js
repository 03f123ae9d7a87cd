'use strict'

/**
 * Sockets and servers that travel on a channel. Node's protocol: a message `NODE_HANDLE` with the descriptor beside it, one
 * at a time; the receiver answers `NODE_HANDLE_ACK` (or `_NACK`: try again), and until then all later messages wait.
 */

const nodeNet = require('node:net')
const nodeDgram = require('node:dgram')
const native = require('../native')
const net = require('../net')
const { handleOfFd } = require('../net/handle')
const { ERR_INVALID_HANDLE_TYPE } = require('../errors')
const { SocketLists } = require('./socket-list')

const MAX_RETRANSMISSIONS = 3

/**
 * @typedef {object} Outgoing what to put on the wire
 * @property {any} message
 * @property {number} fd or -1
 * @property {(status: number) => void} sent to be told what became of it
 */

class HandleQueue {
  #child
  #send
  #lists
  /** What waits for an answer; null when none is due. @type {[any, any, any, any][] | null} */
  #queue = null
  /** A socket that is ours no more as soon as the other side has it. @type {any} */
  #pending = null

  /**
   * @param {any} child
   * @param {(message: any, handle: any, options: any, callback: any) => boolean} send
   */
  constructor (child, send) {
    this.#child = child
    this.#send = send
    this.#lists = new SocketLists(child)
  }

  get isBusy () { return this.#queue !== null }
  get waiting () { return this.#queue?.length ?? 0 }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {any} options
   * @param {any} callback
   * @returns {Outgoing | null} null: it waits
   */
  prepare (message, handle, options, callback) {
    if (handle === undefined || handle === null) return this.#prepareMessage(message, options, callback)
    const type = typeOf(handle)
    if (this.#queue !== null) {
      this.#queue.push([message, handle, options, callback])
      return null
    }
    const source = sourceOf(handle, type)
    // Sent twice, or closed: the message goes alone.
    if (!(source?.fd >= 0)) return { message, fd: -1, sent: () => {} }
    /** @type {Record<string, any>} */
    const full = { cmd: 'NODE_HANDLE', type, msg: message }
    if (type === 'dgram.Socket') full.dgramType = handle.type
    if (type === 'net.Socket' && handle.server) full.key = this.#lists.sent(handle.server)
    const gone = type === 'net.Socket' && !options.keepOpen
    if (gone) detach(handle, source)
    const sent = (/** @type {number} */ status) => {
      if (status < 0) {
        if (gone) source.close()
        return
      }
      this.#queue ??= []
      this.#pending = { args: [message, handle, options, callback], full, source, gone, tries: this.#pending?.tries ?? 0 }
    }
    return { message: full, fd: source.fd, sent }
  }

  /**
   * @param {any} message
   * @param {any} options
   * @param {any} callback
   */
  #prepareMessage (message, options, callback) {
    const isAnswer = message?.cmd === 'NODE_HANDLE_ACK' || message?.cmd === 'NODE_HANDLE_NACK'
    if (this.#queue !== null && !isAnswer && !options.again) {
      this.#queue.push([message, undefined, options, callback])
      return null
    }
    return { message, fd: options.again?.fd ?? -1, sent: () => {} }
  }

  /**
   * An answer to what was sent.
   * @param {any} message
   * @returns {boolean} was it one?
   */
  answered ({ cmd }) {
    if (cmd !== 'NODE_HANDLE_ACK' && cmd !== 'NODE_HANDLE_NACK') return false
    const pending = this.#pending
    if (this.#queue === null) return true // Nobody asked.
    if (cmd === 'NODE_HANDLE_NACK' && pending !== null) {
      if (pending.tries++ < MAX_RETRANSMISSIONS) {
        this.#send(pending.full, undefined, { swallowErrors: true, again: pending.source }, undefined)
        return true
      }
      process.emitWarning('Handle did not reach the receiving process correctly', 'SentHandleNotReceivedWarning')
    }
    this.end()
    const queue = this.#queue
    this.#queue = null
    for (const args of queue) this.#send(...args)
    return true
  }

  /** Lets go of what is under way. */
  end () {
    if (this.#pending?.gone) this.#pending.source.close()
    this.#pending = null
  }

  /**
   * A handle has come: acknowledges it and makes an object of it.
   * @param {any} message
   * @param {number} fd -1 if it got lost
   * @param {(message: any, handle: any) => void} deliver
   */
  receive (message, fd, deliver) {
    this.#send({ cmd: fd < 0 ? 'NODE_HANDLE_NACK' : 'NODE_HANDLE_ACK' }, undefined, { swallowErrors: true }, undefined)
    if (fd < 0) return
    try {
      objectOf(message, fd, handle => {
        if (typeof message.key === 'string') this.#lists.received(message.key, handle)
        deliver(message.msg, handle)
      })
    } catch (error) {
      native.closeDescriptor(fd)
      this.#child.emit('error', error)
    }
  }
}

/** @param {any} handle */
function typeOf (handle) {
  if (handle instanceof nodeNet.Socket || handle instanceof net.Socket) return 'net.Socket'
  if (handle instanceof nodeNet.Server || handle instanceof net.Server) return 'net.Server'
  // Asked for here only: few programs send a socket, and none shall load UDP for it.
  if (handle instanceof nodeDgram.Socket || handle instanceof require('../dgram').Socket) return 'dgram.Socket'
  if (typeof handle?.fd === 'number' && typeof handle.close === 'function') {
    return handle.constructor.name === 'UDP' ? 'dgram.Native' : 'net.Native'
  }
  throw new ERR_INVALID_HANDLE_TYPE()
}

/**
 * What has the descriptor.
 * @param {any} handle
 * @param {string} type
 */
function sourceOf (handle, type) {
  if (type.endsWith('Native')) return handle
  if (handle instanceof nodeDgram.Socket) {
    const state = Object.getOwnPropertySymbols(handle).find(symbol => symbol.description === 'state symbol')
    return state === undefined ? null : /** @type {any} */ (handle)[state].handle
  }
  return handle._handle
}

/**
 * The socket is the other process's: here it only looks closed.
 * @param {any} socket
 * @param {any} source
 */
function detach (socket, source) {
  if (socket.server) socket.server._connections--
  source.readStop()
  if ('owner' in source) source.owner = null
  else source.onread = () => {}
  socket._handle = null
  socket.setTimeout(0)
  if (socket.parser) freeParser(socket)
}

/**
 * A connection of Node's HTTP server: what reads it is given back.
 * @param {any} socket
 */
function freeParser (socket) {
  // @ts-ignore Node's own, without types
  const http = require('_http_common')
  if (!(socket.parser instanceof http.HTTPParser)) return
  http.freeParser(socket.parser, null, socket)
  if (socket._httpMessage) socket._httpMessage.detachSocket(socket)
}

/**
 * @param {any} message
 * @param {number} fd
 * @param {(handle: any) => void} then
 */
function objectOf ({ type, dgramType }, fd, then) {
  if (type === 'net.Socket') {
    then(new net.Socket({ handle: handleOfFd(fd), readable: true, writable: true }))
  } else if (type === 'net.Server') {
    const server = new net.Server()
    server.listen({ fd }, () => then(server))
  } else if (type === 'net.Native') {
    then(handleOfFd(fd))
  } else if (type === 'dgram.Socket' && (dgramType === 'udp4' || dgramType === 'udp6')) {
    const socket = nodeDgram.createSocket(dgramType)
    socket.bind({ fd }, () => then(socket))
  } else {
    throw new ERR_INVALID_HANDLE_TYPE()
  }
}

module.exports = { HandleQueue }
