// Topics and broadcast channels in shared memory.

import { EventEmitter } from 'node:events'
import type { QueueCodec, QueueView, TimeoutOptions, WaitOptions } from './queue'

export interface TopicOptions {
  /** Bytes for messages, of a topic that is created; rounded up to a power of two. 512 to 64 GiB, default 4 MiB. Larger messages go beside it. */
  capacity?: number
  /** How values are encoded. Default: what the topic was created with, `json` for a new one. */
  codec?: QueueCodec
  /** `false`: only open a topic that is there. Default `true`. */
  create?: boolean
}

export interface SubscribeOptions {
  /** Publishers do not wait for this subscription: what it has not read when they need the room is counted in `missed`. Default `false`. */
  lossy?: boolean
}

export interface TopicStats {
  /** Bytes for messages and their heads. */
  capacity: number
  /** Bytes of them that a reliable subscription has not read yet. */
  used: number
  /** Messages published by the handles that are open now. */
  sent: number
  /** Messages received by the subscriptions that are open now, all together. */
  received: number
  /** Subscriptions, and how many of them are lossy. */
  subscribers: number
  lossy: number
}

/** A topic in shared memory: every subscription, in any process or thread of this user, gets each message from its beginning on. Its errors have the codes of a queue's. */
export class Topic<T = any> extends EventEmitter {
  /** Opens the topic of that name or ticket, or creates it. */
  constructor (name?: string, options?: TopicOptions)
  /** A topic without a name. */
  constructor (options: TopicOptions)

  /** The name it was created with, or `null`. */
  readonly name: string | null
  /** What opens exactly this topic in another process or thread. */
  readonly ticket: string | null

  /** Its ticket: so `process.send({ topic })` and JSON carry what another process opens it by. */
  toJSON(): string | null
  readonly closed: boolean

  /** Waits while a reliable subscription has no room. When the promise is fulfilled all subscribers can have the message, whatever becomes of this process. */
  publish (value: T, options?: WaitOptions): Promise<void>
  /** `false`: a reliable subscription has no room. */
  tryPublish (value: T): boolean
  /** All, in order and in batches. */
  publishMany (values: Iterable<T>, options?: WaitOptions): Promise<void>
  /** Blocks the thread while there is no room, for `spin` microseconds of that without sleeping (default 0). `false`: there was none until the timeout. */
  publishSync (value: T, options?: TimeoutOptions & { spin?: number }): boolean

  /** Gets all that is published from now on, by this object, too. */
  subscribe (options?: SubscribeOptions): Subscription<T>

  stats (): TopicStats
  /** What waits is rejected with ERR_QUEUE_CLOSED. Subscriptions go on. */
  close (): void
  [Symbol.dispose] (): void
  [Symbol.asyncDispose] (): Promise<void>
  ref (): this
  unref (): this

  on (event: 'error', listener: (error: Error) => void): this
  on (event: 'close', listener: () => void): this
  on (event: string | symbol, listener: (...args: any[]) => void): this
}

/** One subscriber of a topic; made by {@link Topic.subscribe}. */
declare class Subscription<T = any> extends EventEmitter implements AsyncIterable<T> {
  private constructor ()
  readonly lossy: boolean
  /** Messages that a lossy subscription did not get: of those before what it received last. */
  readonly missed: number
  readonly closed: boolean

  receive (options?: WaitOptions): Promise<T>
  /** `undefined`: there is none now. */
  tryReceive (): T | undefined
  /** All that are there, up to `most` (default and limit: 1024); waits for the first. */
  receiveMany (most?: number, options?: WaitOptions): Promise<T[]>
  /** Blocks the thread. `spin`: microseconds of looking before it sleeps, default 20. `undefined`: none came before the timeout. */
  receiveSync (options?: TimeoutOptions & { spin?: number }): T | undefined
  [Symbol.asyncIterator] (): AsyncIterableIterator<T>

  /** Calls `each` for every message that is there; the view is valid during the call only. Gives their number. */
  drain (each: (view: QueueView) => void, options?: { max?: number }): number

  /** Publishers do not wait for it any more. What waits is rejected with ERR_QUEUE_CLOSED, loops end. */
  close (): void
  [Symbol.dispose] (): void
  [Symbol.asyncDispose] (): Promise<void>
  ref (): this
  unref (): this

  on (event: 'message', listener: (message: T) => void): this
  on (event: 'error', listener: (error: Error) => void): this
  on (event: 'close', listener: () => void): this
  on (event: string | symbol, listener: (...args: any[]) => void): this
}

export type { Subscription }

/** The Web's BroadcastChannel, between all processes and threads of this user. */
export class BroadcastChannel extends EventTarget {
  constructor (name: string)
  readonly name: string
  onmessage: ((this: BroadcastChannel, event: MessageEvent) => any) | null
  onmessageerror: ((this: BroadcastChannel, event: MessageEvent) => any) | null
  /** Never waits: while a receiver has no room, messages are kept here, up to 64 MiB; beyond that it throws ERR_QUEUE_FULL. */
  postMessage (message: any): void
  /** Receives no more. What was posted before still goes out. */
  close (): void
  /** It keeps the process alive (so it is at first), or not. */
  ref (): this
  unref (): this
}
