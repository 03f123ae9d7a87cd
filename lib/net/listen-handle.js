'use strict'

const native = require('../native')
const { Pipe, TCP } = require('./handle')

/** What `server._handle` is: one native listening socket. */
class ListenHandle {
  /** @type {any} who is told of connections */
  server
  isUnix = false
  #native
  #referenced = true

  /** @param {any} server */
  constructor (server) {
    this.server = server
    this.#native = new native.NetListener(status => this.#onConnection(status), 'TCPSERVERWRAP')
  }

  get fd () { return this.#native.fd }

  /**
   * @param {number} status 0, or an errno
   * @param {any} [handle] the connection
   */
  onconnection (status, handle) {
    this.server._onConnection(status, handle)
  }

  /**
   * @param {string} address
   * @param {number} port
   * @param {{ backlog: number, ipv6Only: boolean, reusePort: boolean }} flags
   */
  listenIp (address, port, { backlog, ipv6Only, reusePort }) {
    return this.#native.listenIp(address, port, backlog, ipv6Only, reusePort)
  }

  /**
   * @param {string} path
   * @param {number} backlog
   * @param {number} mode bits added to the file's
   */
  listenPath (path, backlog, mode) {
    this.isUnix = true
    return this.#native.listenPath(Buffer.from(path), backlog, mode)
  }

  /**
   * @param {number} fd a bound socket
   * @param {number} backlog
   */
  listenFd (fd, backlog) {
    this.isUnix = native.descriptorFamily(fd) === 'unix'
    return this.#native.listenFd(fd, backlog)
  }

  /** @param {() => void} [closed] */
  close (closed) {
    this.#native.close()
    if (closed) setImmediate(closed)
  }

  ref () {
    this.#referenced = true
    this.#native.setRef(true)
  }

  unref () {
    this.#referenced = false
    this.#native.setRef(false)
  }

  hasRef () { return this.#referenced }
  getAsyncId () { return -1 }

  /** @param {object} out receives address, family, port */
  getsockname (out) {
    const found = this.#native.localName()
    if (typeof found === 'number') return found
    Object.assign(out, found)
    return 0
  }

  /** @param {number} status */
  #onConnection (status) {
    if (status < 0) return this.onconnection(status)
    const handle = this.isUnix ? new Pipe() : new TCP()
    // Where taking it fails, the peer has gone again.
    if (this.#native.accept(handle.native) >= 0) this.onconnection(0, handle)
  }
}

module.exports = { ListenHandle }
