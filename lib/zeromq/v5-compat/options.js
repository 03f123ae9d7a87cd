'use strict'

/** setsockopt and getsockopt: numbers and short names, and the properties of version 6 that they stand for. */

const C = require('./constants')

/** Short names that are properties of a socket. @type {Record<string, number>} */
const SHORT = {
  _fd: C.ZMQ_FD,
  _ioevents: C.ZMQ_EVENTS,
  _receiveMore: C.ZMQ_RCVMORE,
  _subscribe: C.ZMQ_SUBSCRIBE,
  _unsubscribe: C.ZMQ_UNSUBSCRIBE,
  affinity: C.ZMQ_AFFINITY,
  backlog: C.ZMQ_BACKLOG,
  identity: C.ZMQ_IDENTITY,
  linger: C.ZMQ_LINGER,
  rate: C.ZMQ_RATE,
  rcvbuf: C.ZMQ_RCVBUF,
  last_endpoint: C.ZMQ_LAST_ENDPOINT,
  reconnect_ivl: C.ZMQ_RECONNECT_IVL,
  recovery_ivl: C.ZMQ_RECOVERY_IVL,
  sndbuf: C.ZMQ_SNDBUF,
  mechanism: C.ZMQ_MECHANISM,
  plain_server: C.ZMQ_PLAIN_SERVER,
  plain_username: C.ZMQ_PLAIN_USERNAME,
  plain_password: C.ZMQ_PLAIN_PASSWORD,
  curve_server: C.ZMQ_CURVE_SERVER,
  curve_publickey: C.ZMQ_CURVE_PUBLICKEY,
  curve_secretkey: C.ZMQ_CURVE_SECRETKEY,
  curve_serverkey: C.ZMQ_CURVE_SERVERKEY,
  zap_domain: C.ZMQ_ZAP_DOMAIN,
  heartbeat_ivl: C.ZMQ_HEARTBEAT_IVL,
  heartbeat_ttl: C.ZMQ_HEARTBEAT_TTL,
  heartbeat_timeout: C.ZMQ_HEARTBEAT_TIMEOUT,
  connect_timeout: C.ZMQ_CONNECT_TIMEOUT
}

/** @type {Map<number, string>} */
const PROPERTIES = new Map([
  [C.ZMQ_AFFINITY, 'affinity'],
  [C.ZMQ_IDENTITY, 'routingId'],
  [C.ZMQ_RATE, 'rate'],
  [C.ZMQ_RECOVERY_IVL, 'recoveryInterval'],
  [C.ZMQ_SNDBUF, 'sendBufferSize'],
  [C.ZMQ_RCVBUF, 'receiveBufferSize'],
  [C.ZMQ_LINGER, 'linger'],
  [C.ZMQ_RECONNECT_IVL, 'reconnectInterval'],
  [C.ZMQ_BACKLOG, 'backlog'],
  [C.ZMQ_RECONNECT_IVL_MAX, 'reconnectMaxInterval'],
  [C.ZMQ_MAXMSGSIZE, 'maxMessageSize'],
  [C.ZMQ_SNDHWM, 'sendHighWaterMark'],
  [C.ZMQ_RCVHWM, 'receiveHighWaterMark'],
  [C.ZMQ_MULTICAST_HOPS, 'multicastHops'],
  [C.ZMQ_RCVTIMEO, 'receiveTimeout'],
  [C.ZMQ_SNDTIMEO, 'sendTimeout'],
  [C.ZMQ_TCP_KEEPALIVE, 'tcpKeepalive'],
  [C.ZMQ_TCP_KEEPALIVE_CNT, 'tcpKeepaliveCount'],
  [C.ZMQ_TCP_KEEPALIVE_IDLE, 'tcpKeepaliveIdle'],
  [C.ZMQ_TCP_KEEPALIVE_INTVL, 'tcpKeepaliveInterval'],
  [C.ZMQ_TCP_ACCEPT_FILTER, 'tcpAcceptFilter'],
  [C.ZMQ_PLAIN_USERNAME, 'plainUsername'],
  [C.ZMQ_PLAIN_PASSWORD, 'plainPassword'],
  [C.ZMQ_ZAP_DOMAIN, 'zapDomain'],
  [C.ZMQ_HEARTBEAT_IVL, 'heartbeatInterval'],
  [C.ZMQ_HEARTBEAT_TTL, 'heartbeatTimeToLive'],
  [C.ZMQ_HEARTBEAT_TIMEOUT, 'heartbeatTimeout'],
  [C.ZMQ_CONNECT_TIMEOUT, 'connectTimeout']
])

/** Switches, 0 and 1 in version 5. @type {Map<number, string>} */
const FLAGS = new Map([
  [C.ZMQ_ROUTER_MANDATORY, 'mandatory'],
  [C.ZMQ_DELAY_ATTACH_ON_CONNECT, 'immediate'],
  [C.ZMQ_IPV6, 'ipv6'],
  [C.ZMQ_PLAIN_SERVER, 'plainServer'],
  [C.ZMQ_ROUTER_HANDOVER, 'handover']
])

/** @type {Map<number, string>} */
const REFUSED = new Map([
  [C.ZMQ_ROUTER_RAW, 'ZMQ_ROUTER_RAW'],
  [C.ZMQ_RCVMORE, 'ZMQ_RCVMORE'],
  [C.ZMQ_FD, 'ZMQ_FD']
])

/**
 * @param {any} socket of version 6
 * @param {number | string} option
 * @param {any} value
 */
function setOption (socket, option, value) {
  const id = numberOf(option)
  const property = PROPERTIES.get(id)
  if (property !== undefined) return assign(socket, property, value)
  const flag = FLAGS.get(id)
  if (flag !== undefined) return assign(socket, flag, Boolean(value))
  switch (id) {
    case C.ZMQ_SUBSCRIBE: return socket.subscribe(value)
    case C.ZMQ_UNSUBSCRIBE: return socket.unsubscribe(value)
    case C.ZMQ_IPV4ONLY: return assign(socket, 'ipv6', !value)
    case C.ZMQ_XPUB_VERBOSE: return assign(socket, 'verbosity', value ? 'allSubs' : null)
    default: throw unknown(id)
  }
}

/**
 * @param {any} socket of version 6
 * @param {number | string} option
 * @returns {any}
 */
function getOption (socket, option) {
  const id = numberOf(option)
  const property = PROPERTIES.get(id)
  if (property !== undefined) return socket[property]
  const flag = FLAGS.get(id)
  if (flag !== undefined) return flag === 'handover' ? fail() : Number(socket[flag])
  switch (id) {
    case C.ZMQ_EVENTS: return (socket.readable ? C.ZMQ_POLLIN : 0) | (socket.writable ? C.ZMQ_POLLOUT : 0)
    case C.ZMQ_TYPE: return socket.type
    case C.ZMQ_LAST_ENDPOINT: return socket.lastEndpoint
    case C.ZMQ_IPV4ONLY: return !socket.ipv6
    case C.ZMQ_MECHANISM: return [null, 'plain', 'curve', 'gssapi'].indexOf(socket.securityMechanism)
    case C.ZMQ_XPUB_VERBOSE: throw new Error('Reading ZMQ_XPUB_VERBOSE is not supported')
    default: throw unknown(id)
  }
}

/** @param {number | string} option */
function numberOf (option) {
  return typeof option === 'number' ? option : SHORT[option]
}

/**
 * @param {any} socket
 * @param {string} property
 * @param {unknown} value
 */
function assign (socket, property, value) {
  socket[property] = value
}

/** @param {number} id */
function unknown (id) {
  const name = REFUSED.get(id)
  return new Error(name === undefined ? 'Unknown option' : `${name} is not supported in compatibility mode`)
}

/** @returns {never} */
function fail () {
  throw new Error('Unknown option')
}

module.exports = { SHORT, setOption, getOption }
