'use strict'

/**
 * What `socket._handle` is: one native stream, with the names that packages poke at (`fd`, `readStart`, `setNoDelay`, …).
 * Its socket (`owner`) is told what happens through the methods named in symbols.js.
 */

const native = require('../native')
const { ERR_INVALID_FD_TYPE, errnoException } = require('../errors')
const { validateInt32 } = require('../validate')
const sameTick = require('./same-tick')
const { kConnected, kData, kDrain, kEnd, kError } = require('./symbols')

// The events of src/node/net/stream.rs.
const DATA = 0
const END = 1
const CONNECTED = 2
const DRAIN = 3

/** Chunks up to this size are joined when several wait to be written. */
const SMALL = 16 * 1024
const JOINED = 64 * 1024
/** @type {Buffer | null} */
let joint = null

class Handle {
  /** @type {any} the socket */
  owner = null
  reading = false
  bytesRead = 0
  bytesWritten = 0
  #native
  #referenced = true
  /** @type {Uint8Array[]} what waits for room */
  #waiting = []
  /** Bytes of the first one that have left. */
  #gone = 0
  #waitingBytes = 0
  /** @type {((status: number) => void) | null} */
  #done = null

  /** @param {string} type for async_hooks */
  constructor (type) {
    this.#native = new native.NetStream((event, a, b, c) => {
      sameTick.inEvent = true
      sameTick.tick += 1
      try {
        this.#onEvent(event, a, b, c)
      } finally {
        sameTick.inEvent = false
        sameTick.tick += 1
      }
    }, type)
  }

  get fd () { return this.#native.fd }
  get native () { return this.#native }
  get writeQueueSize () { return this.#waitingBytes }

  /**
   * Takes over a descriptor.
   * @param {number} fd
   */
  open (fd) {
    return this.#native.open(fd, this.isPipeEnd)
  }

  get isPipeEnd () { return false }

  readStart () {
    this.reading = true
    return this.#native.resume()
  }

  readStop () {
    this.reading = false
    return this.#native.pause()
  }

  /**
   * Writes at once what fits.
   * @param {Uint8Array} bytes
   * @param {number} length how many of them
   * @returns {number} bytes taken, or an errno
   */
  write (bytes, length) {
    return this.#native.write(bytes, 0, length)
  }

  /**
   * Writes all, as fast as there is room. One at a time.
   * @param {Uint8Array[]} chunks
   * @param {(status: number) => void} done with 0 or an errno; called before `send` returns if nothing has to wait
   */
  send (chunks, done) {
    this.#waiting = chunks
    this.#gone = 0
    this.#done = done
    this.#waitingBytes = 0
    for (const chunk of chunks) this.#waitingBytes += chunk.byteLength
    this.bytesWritten += this.#waitingBytes
    this.#pump()
  }

  shutdown () { return this.#native.shutdown() }

  /** @param {() => void} [closed] called when loop and kernel have let go of it */
  close (closed) {
    this.#native.close()
    this.#ended(closed)
  }

  /** @param {() => void} [closed] */
  reset (closed) {
    const status = this.#native.reset()
    if (status < 0) this.#native.close()
    this.#ended(closed)
    return status
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

  /** @param {boolean} on */
  setNoDelay (on) { return this.#native.setNoDelay(on) }

  /**
   * @param {boolean} on
   * @param {number} seconds
   */
  setKeepAlive (on, seconds) { return this.#native.setKeepAlive(on, Math.max(0, seconds)) }

  /** @param {object} out receives address, family, port */
  getsockname (out) { return name(this.#native.localName(), out) }

  /** @param {object} out */
  getpeername (out) { return name(this.#native.peerName(), out) }

  /** @param {() => void} [closed] */
  #ended (closed) {
    const done = this.#done
    this.reading = false
    this.#done = null
    this.#waiting = []
    this.#waitingBytes = 0
    if (done === null && closed === undefined) return
    // When Node's handles call back: after the callbacks of this round of the loop.
    setImmediate(() => {
      done?.(0)
      closed?.()
    })
  }

  /**
   * @param {number} event
   * @param {any} a
   * @param {any} b
   * @param {any} c
   */
  #onEvent (event, a, b, c) {
    const owner = this.owner
    if (owner === null) return
    if (event === DATA) {
      this.bytesRead += c
      owner[kData](a, b, c)
    } else if (event === END) {
      this.reading = false
      owner[kEnd]()
    } else if (event === CONNECTED) {
      owner[kConnected](this, a)
    } else if (event === DRAIN) {
      if (this.#done !== null) this.#pump()
      else owner[kDrain]()
    } else {
      owner[kError](a, b)
    }
  }

  #pump () {
    while (this.#waiting.length > 0) {
      const chunk = this.#next()
      const from = chunk === joint ? 0 : this.#gone
      const to = chunk === joint ? this.#joined : chunk.byteLength
      const taken = to === from ? 0 : this.#native.write(chunk, from, to)
      if (taken < 0) return this.#settle(taken)
      this.#advance(taken)
      if (taken < to - from) return
    }
    this.#settle(0)
  }

  #joined = 0

  /** What to write next: the first chunk, or a joint of several small ones. */
  #next () {
    const [first, second] = this.#waiting
    if (second === undefined || first.byteLength > SMALL || second.byteLength > SMALL) return first
    joint ??= Buffer.allocUnsafeSlow(JOINED)
    let at = 0
    let from = this.#gone
    for (const chunk of this.#waiting) {
      if (at + chunk.byteLength - from > JOINED) break
      joint.set(from === 0 ? chunk : chunk.subarray(from), at)
      at += chunk.byteLength - from
      from = 0
    }
    this.#joined = at
    return joint
  }

  /** @param {number} count bytes that have left */
  #advance (count) {
    this.#waitingBytes -= count
    let whole = 0
    while (whole < this.#waiting.length && count >= this.#waiting[whole].byteLength - this.#gone) {
      count -= this.#waiting[whole].byteLength - this.#gone
      this.#gone = 0
      whole += 1
    }
    this.#gone += count
    if (whole > 0) this.#waiting.splice(0, whole)
  }

  /** @param {number} status */
  #settle (status) {
    const done = this.#done
    this.#done = null
    this.#waiting = []
    this.#waitingBytes = 0
    done?.(status)
  }
}

/** A TCP connection. */
class TCP extends Handle {
  constructor () { super('TCPWRAP') }

  /**
   * @param {string} address
   * @param {number} port
   * @param {string | undefined} localAddress
   * @param {number | undefined} localPort
   */
  connect (address, port, localAddress, localPort) {
    return this.native.connectIp(address, port, localAddress, localPort)
  }
}

/** A Unix socket, or the end of a pipe. */
class Pipe extends Handle {
  #isPipeEnd

  constructor (isPipeEnd = false) {
    super('PIPEWRAP')
    this.#isPipeEnd = isPipeEnd
  }

  /** @override */
  get isPipeEnd () { return this.#isPipeEnd }

  /** @param {string} path */
  connect (path) {
    return this.native.connectPath(Buffer.from(path))
  }
}

/**
 * A handle for a descriptor that somebody else opened.
 * @param {number} fd
 */
function handleOfFd (fd) {
  validateInt32(fd, 'fd', 0)
  const kind = native.descriptorKind(fd)
  if (kind !== 'socket' && kind !== 'pipe') throw new ERR_INVALID_FD_TYPE(kind)
  const isTcp = kind === 'socket' && native.descriptorFamily(fd) !== 'unix'
  const handle = isTcp ? new TCP() : new Pipe(kind === 'pipe')
  const status = handle.open(fd)
  if (status < 0) throw errnoException(status, 'open')
  return handle
}

/**
 * @param {{ address: string, family?: string, port?: number } | number} found
 * @param {object} out
 */
function name (found, out) {
  if (typeof found === 'number') return found
  if (found.family === undefined) Object.assign(out, { address: found.address })
  else Object.assign(out, { address: found.address, family: found.family, port: found.port })
  return 0
}

module.exports = { Handle, TCP, Pipe, handleOfFd }
