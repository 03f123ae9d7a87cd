'use strict'

const native = require('../native')

// The events of src/node/dgram.rs.
const MESSAGES = 0
const DRAIN = 1

/** Where the bytes of a datagram in a batch begin: at multiples of this. */
const ALIGNMENT = 8

/** The handle of a `dgram.Socket`: one native UDP socket. Its socket (`owner`) is told what happens. */
class UDP {
  /** @type {any} */
  owner
  #native
  #referenced = true

  /** @param {any} owner */
  constructor (owner) {
    this.owner = owner
    this.#native = new native.NetDgram((event, ...rest) => this.#onEvent(event, rest))
  }

  get fd () { return this.#native.fd }
  get native () { return this.#native }

  close () {
    this.owner = null
    this.#native.close()
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
  getsockname (out) { return name(this.#native.localName(), out) }

  /** @param {object} out */
  getpeername (out) { return name(this.#native.peerName(), out) }

  /**
   * @param {number} event
   * @param {any[]} rest
   */
  #onEvent (event, rest) {
    if (this.owner === null) return
    if (event === MESSAGES) this.#onMessages(rest[0], rest[1], rest[2], rest[3], rest[4], rest[5])
    else if (event === DRAIN) this.owner._onDrain()
    else this.owner._onError(rest[0])
  }

  /**
   * @param {ArrayBuffer} slab
   * @param {number} offset of the lengths; the bytes follow
   * @param {number} count
   * @param {string} address of the one sender
   * @param {number} port
   * @param {number} version of IP
   */
  #onMessages (slab, offset, count, address, port, version) {
    if (this.owner.receiveBlockList?.check(address, `ipv${version}`)) return
    const family = version === 4 ? 'IPv4' : 'IPv6'
    const lengths = new Uint32Array(slab, offset, count)
    let at = offset + align(count * 4)
    this.#deliver(0, count, index => {
      const size = lengths[index]
      const bytes = Buffer.from(slab, at, size)
      at += align(size)
      this.owner.emit('message', bytes, { address, family, port, size })
    })
  }

  /**
   * Nothing is lost if a listener throws, or if there is none for a moment (`await once(socket, 'message')`).
   * @param {number} from
   * @param {number} count
   * @param {(index: number) => void} emit
   */
  #deliver (from, count, emit) {
    let index = from
    try {
      while (index < count && this.owner !== null) {
        if (index > from && this.owner.listenerCount('message') === 0) break
        emit(index++)
      }
    } finally {
      if (index < count && this.owner !== null) afterMicrotasks(() => this.#deliver(index, count, emit))
    }
  }
}

/**
 * The queue of microtasks is empty when a tick that a microtask asked for runs.
 * @param {() => void} task
 */
function afterMicrotasks (task) {
  queueMicrotask(() => process.nextTick(task))
}

/** @param {number} size */
function align (size) {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT
}

/**
 * @param {{ address: string, family?: string, port?: number } | number} found
 * @param {object} out
 */
function name (found, out) {
  if (typeof found === 'number') return found
  Object.assign(out, found)
  return 0
}

module.exports = { UDP }
