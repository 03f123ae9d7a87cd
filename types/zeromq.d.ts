// The types of `interproc/zeromq`: zeromq.js 6's API.

/** What libzmq would call the protocol and API level. */
export const version: string

/** What this build can do beyond the plain transports. */
export const capability: { ipc: boolean, tipc: boolean, norm: boolean, pgm: boolean, curve: boolean, gssapi: boolean, draft: boolean }

/** The default context, shared by all threads of the process. */
export const context: Context

export interface ContextOptions {
  /** There are no I/O threads: kept, without effect. */
  ioThreads?: number
  /** How many sockets may be open at once, 1023 at first. */
  maxSockets?: number
  maxMessageSize?: number
  ipv6?: boolean
  /** `false`: new sockets have a `linger` of 0. */
  blocky?: boolean
}

/** The sockets that can reach each other by `inproc://`. */
export class Context {
  constructor (options?: ContextOptions)
  ioThreads: number
  maxSockets: number
  readonly maxSocketsLimit: number
  maxMessageSize: number
  ipv6: boolean
  blocky: boolean
  set threadPriority (value: number)
  set threadSchedulingPolicy (value: number)
}

/** A received part. Small ones are cut out of a larger block of memory, as small Buffers of Node are. */
export type Message = Buffer
/** What can be sent; anything but bytes is sent as the text that `String()` makes of it, `null` as an empty part. */
export type MessageLike = NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer | string | number | null

/** Sockets that send. */
export interface Writable<M extends MessageLike | MessageLike[] = MessageLike | MessageLike[]> {
  /** `SO_SNDBUF`; -1: the system's default. */
  sendBufferSize: number
  /** Messages that may wait for a peer, 1000 at first; 0: no limit. */
  sendHighWaterMark: number
  /** Milliseconds until a pending `send` fails with `EAGAIN`; -1: never, 0: at once. */
  sendTimeout: number
  multicastHops: number
  /** Resolves when the message is queued. While it is pending another call throws `EBUSY`. */
  send (message: M): Promise<void>
  /** Sends all of them; resolves when the last one is queued. */
  sendMany (messages: ReadonlyArray<M>): Promise<void>
}

/** Sockets that receive. */
export interface Readable<M extends object[] = Message[]> extends AsyncIterable<M> {
  /** `SO_RCVBUF`; -1: the system's default. */
  receiveBufferSize: number
  /** Messages of a peer that may wait here, 1000 at first; 0: no limit. */
  receiveHighWaterMark: number
  /** Milliseconds until a pending `receive` fails with `EAGAIN`; -1: never, 0: at once. */
  receiveTimeout: number
  /** The next message. While it is pending another call throws `EBUSY`. */
  receive (): Promise<M>
  /** All messages that are there, at least one. */
  receiveMany (max?: number): Promise<M[]>
  [Symbol.asyncIterator] (): AsyncIterator<M, undefined>
}

/** What a socket may be given at its making: its context, and all its options. */
export type SocketOptions<S extends Socket> = Partial<Omit<S, Methods>> & { context?: Context }
type Methods = 'bind' | 'unbind' | 'bindSync' | 'unbindSync' | 'connect' | 'disconnect' | 'close' | 'closed' | 'context' | 'readable' |
  'writable' | 'events' | 'type' | 'lastEndpoint' | 'securityMechanism' | 'threadSafe' | 'send' | 'sendMany' | 'receive' | 'receiveMany' |
  'subscribe' | 'unsubscribe' | typeof Symbol.asyncIterator

/** What all socket types have. */
export abstract class Socket {
  readonly context: Context
  readonly closed: boolean
  /** Is there a message? */
  readonly readable: boolean
  /** Is there room for one? */
  readonly writable: boolean
  readonly events: Observer
  readonly type: number
  /** Where it was bound or connected last, with the port or path that was chosen for `*`. */
  readonly lastEndpoint: string | null
  readonly securityMechanism: null | 'plain' | 'curve' | 'gssapi'
  readonly threadSafe: boolean
  affinity: number
  rate: number
  recoveryInterval: number
  /** Milliseconds that unsent messages outlive `close()`; -1: for ever. */
  linger: number
  /** Milliseconds before connecting again, and a random part of the same; -1: never. */
  reconnectInterval: number
  reconnectMaxInterval: number
  backlog: number
  /** Bytes; a peer that sends more is disconnected. -1: no limit. */
  maxMessageSize: number
  tcpKeepalive: number
  tcpKeepaliveCount: number
  tcpKeepaliveIdle: number
  tcpKeepaliveInterval: number
  tcpAcceptFilter: string | null
  /** Only peers whose connection stands count as peers to send to. */
  immediate: boolean
  ipv6: boolean
  plainServer: boolean
  plainUsername: string | null
  plainPassword: string | null
  zapDomain: string | null
  zapEnforceDomain: boolean
  typeOfService: number
  /** Milliseconds that greeting and handshake may take; 0: for ever. */
  handshakeInterval: number
  socksProxy: string | null
  heartbeatInterval: number
  heartbeatTimeToLive: number
  heartbeatTimeout: number
  connectTimeout: number
  tcpMaxRetransmitTimeout: number
  multicastMaxTransportDataUnit: number
  vmciBufferSize: number
  vmciBufferMinSize: number
  vmciBufferMaxSize: number
  vmciConnectTimeout: number
  interface: string | null
  loopbackFastPath: boolean
  protected constructor (type: number, options?: object)
  bind (address: string): Promise<void>
  unbind (address: string): Promise<void>
  bindSync (address: string): void
  unbindSync (address: string): void
  connect (address: string): void
  disconnect (address: string): void
  close (): void
}

export class Pair extends Socket { constructor (options?: SocketOptions<Pair>) }
export interface Pair extends Writable, Readable {}

export class Publisher extends Socket {
  constructor (options?: SocketOptions<Publisher>)
  /** Wait for slow subscribers instead of dropping messages for them. */
  set noDrop (value: boolean)
  set conflate (value: boolean)
  invertMatching: boolean
}
export interface Publisher extends Writable {}

export class Subscriber extends Socket {
  constructor (options?: SocketOptions<Subscriber>)
  set conflate (value: boolean)
  invertMatching: boolean
  /** Messages that begin with one of the prefixes are wanted; all messages without one. Counted. */
  subscribe (...prefixes: Array<Buffer | string>): void
  unsubscribe (...prefixes: Array<Buffer | string>): void
}
export interface Subscriber extends Readable {}

export class Request extends Socket {
  constructor (options?: SocketOptions<Request>)
  routingId: string | null
  set probeRouter (value: boolean)
  /** Match replies to requests. */
  set correlate (value: boolean)
  /** May send again without a reply. */
  set relaxed (value: boolean)
}
export interface Request extends Writable, Readable {}

export class Reply extends Socket {
  constructor (options?: SocketOptions<Reply>)
  routingId: string | null
}
export interface Reply extends Writable, Readable {}

export class Dealer extends Socket {
  constructor (options?: SocketOptions<Dealer>)
  routingId: string | null
  set probeRouter (value: boolean)
  set conflate (value: boolean)
}
export interface Dealer extends Writable, Readable {}

export interface RouterConnectOptions {
  /** By what the peer there shall be known. */
  routingId?: string
}

export class Router extends Socket {
  constructor (options?: SocketOptions<Router>)
  routingId: string | null
  /** Sending to nobody is an error: `EHOSTUNREACH`. */
  mandatory: boolean
  set probeRouter (value: boolean)
  /** A new peer may take over the routing id of an old one. */
  set handover (value: boolean)
  connect (address: string, options?: RouterConnectOptions): void
}
export interface Router extends Writable, Readable {}

export class Pull extends Socket {
  constructor (options?: SocketOptions<Pull>)
  set conflate (value: boolean)
}
export interface Pull extends Readable {}

export class Push extends Socket {
  constructor (options?: SocketOptions<Push>)
  set conflate (value: boolean)
}
export interface Push extends Writable {}

export class XPublisher extends Socket {
  constructor (options?: SocketOptions<XPublisher>)
  set noDrop (value: boolean)
  /** Not there yet: throws `ERR_NOT_SUPPORTED` at `bind` and `connect`. */
  set manual (value: boolean)
  set welcomeMessage (value: string | null)
  invertMatching: boolean
  /** Which subscriptions are handed over that change nothing. */
  set verbosity (value: null | 'allSubs' | 'allSubsUnsubs')
}
export interface XPublisher extends Writable, Readable {}

export class XSubscriber extends Socket { constructor (options?: SocketOptions<XSubscriber>) }
export interface XSubscriber extends Writable, Readable {}

export type EventType = 'accept' | 'accept:error' | 'bind' | 'close' | 'connect' | 'connect:delay' | 'connect:retry' | 'disconnect' | 'end' |
  'handshake' | 'handshake:error:auth' | 'handshake:error:other' | 'handshake:error:protocol'

export interface Event {
  type: EventType
  /** All but `end`. */
  address?: string
  /** `connect:retry`: milliseconds. */
  interval?: number
  /** Those whose name says so. */
  error?: Error & { code?: string, errno?: number, status?: number }
}

/** Reads what happens to a socket: `socket.events`. */
export class Observer implements AsyncIterable<Event> {
  private constructor ()
  readonly closed: boolean
  close (): void
  receive (): Promise<Event>
  on (type: EventType, listener: (event: Event) => void): this
  off (type: EventType, listener: (event: Event) => void): this
  [Symbol.asyncIterator] (): AsyncIterator<Event, undefined>
}
