'use strict'

/** The socket types. */

const { Socket, methods } = require('./socket')
const { GROUPS, defineProperties } = require('./options')

class Pair extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(0, options) }
}

class Publisher extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(1, options) }
}

class Subscriber extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(2, options) }

  /**
   * Messages that begin with one of the prefixes are wanted; all messages without one. Counted.
   * @param {...(Buffer | string)} prefixes
   */
  subscribe (...prefixes) {
    for (const prefix of prefixes.length > 0 ? prefixes : ['']) methods.subscribe(this, prefix, true)
  }

  /** @param {...(Buffer | string)} prefixes */
  unsubscribe (...prefixes) {
    for (const prefix of prefixes.length > 0 ? prefixes : ['']) methods.subscribe(this, prefix, false)
  }
}

class Request extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(3, options) }
}

class Reply extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(4, options) }
}

class Dealer extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(5, options) }
}

class Router extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(6, options) }

  /**
   * @override
   * @param {string} address
   * @param {{ routingId?: string | Buffer }} [options] by what the peer there shall be known
   */
  connect (address, { routingId } = {}) {
    if (routingId) this.setStringOption(61, routingId)
    super.connect(address)
  }
}

class Pull extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(7, options) }
}

class Push extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(8, options) }
}

class XPublisher extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(9, options) }

  /** Which subscriptions are handed over that change nothing. @param {null | 'allSubs' | 'allSubsUnsubs'} value */
  set verbosity (value) {
    if (value === 'allSubsUnsubs') this.setBoolOption(78, true)
    else this.setBoolOption(40, value === 'allSubs')
  }
}

class XSubscriber extends Socket {
  /** @param {object} [options] */
  constructor (options) { super(10, options) }
}

const classes = { Pair, Publisher, Subscriber, Request, Reply, Dealer, Router, Pull, Push, XPublisher, XSubscriber }
const WRITABLE = [Pair, Publisher, Request, Reply, Dealer, Router, Push, XPublisher, XSubscriber]
const READABLE = [Pair, Subscriber, Request, Reply, Dealer, Router, Pull, XPublisher, XSubscriber]

defineProperties(Socket, GROUPS.all)
for (const one of WRITABLE) {
  Object.defineProperties(one.prototype, methods.writable)
  defineProperties(one, GROUPS.writable)
}
for (const one of READABLE) {
  Object.defineProperties(one.prototype, methods.readable)
  defineProperties(one, GROUPS.readable)
}
for (const [name, options] of Object.entries(GROUPS.of)) defineProperties(classes[/** @type {keyof typeof classes} */ (name)], options)

module.exports = { Socket, ...classes }
