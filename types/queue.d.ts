// Queues in shared memory.

import { EventEmitter } from 'node:events'

/** How values become messages. Bytes and strings travel as they are: no codec is called for them, not even one of your own. */
export type QueueCodec = 'json' | 'v8' | 'msgpack' | {
  /** Bytes, or a string. Called again for values that had to wait. */
  encode (value: any): ArrayBufferView | string
  /** The bytes are the receiver's own copy. */
  decode (bytes: Buffer): any
}

export interface QueueOptions {
  /** Bytes for messages, of a queue that is created; rounded up to a power of two. 512 to 64 GiB, default 4 MiB. Larger messages go beside it. */
  capacity?: number
  /** How values are encoded. Default: what the queue was created with, `json` for a new one. */
  codec?: QueueCodec
  /**
   * A message stays in the queue until its receiver acknowledges it; if that dies before, another gets it. The same for all users of a queue.
   * Default `false`.
   */
  ack?: boolean
  /** Whether a new queue stays when its last user leaves, until `interproc rm` or a reboot. Default `false`. */
  persistent?: boolean
  /** A file instead of a name: it stays, also over a reboot. */
  path?: string
  /** `false`: only open a queue that is there. Default `true`. */
  create?: boolean
  /**
   * For how many microseconds a waiting receiver may look for messages before its event loop sleeps, 0 to 1000. It looks only
   * while that finds messages, and never on a single core. Default 50; 0: it sleeps at once.
   */
  spin?: number
}

export interface WaitOptions {
  signal?: AbortSignal
}

export interface TimeoutOptions {
  /** Milliseconds. Default: for ever. */
  timeout?: number
}

/** A message of a queue with `ack: true`. */
export interface QueueMessage<T = any> {
  /** What was sent. */
  readonly data: T
  /** Whether a receiver had it before, and died or released it. */
  readonly redelivered: boolean
  /** It is dealt with. `false` if it was acknowledged or released before, or the queue is closed. */
  ack (): boolean
  /** Back into the queue, for any receiver. */
  release (): boolean
}

/**
 * What receiving throws for a message of a queue with `ack: true` that cannot be decoded: the codec's error, or an ERR_QUEUE_CODEC
 * with that as its `cause`. The receiver has the message all the same.
 */
export interface QueueDecodeError extends Error {
  /** The message, with its bytes as `data`: to be acknowledged or released. */
  readonly received: QueueMessage<Buffer>
}

/** A message in place, in the queue's own memory. Valid during the callback of `drain` only. */
export interface QueueView {
  readonly length: number
  readonly byteLength: number
  /** A copy. */
  toBuffer (): Buffer
  /** What was sent. */
  value (): any
  toString (): string
  /** A Buffer over the queue's memory: other messages will be there after the callback. */
  subarray (start?: number, end?: number): Buffer
  copy (target: Uint8Array, targetStart?: number): number
  getUint8 (at: number): number
  getInt8 (at: number): number
  getUint16 (at: number, littleEndian?: boolean): number
  getInt16 (at: number, littleEndian?: boolean): number
  getUint32 (at: number, littleEndian?: boolean): number
  getInt32 (at: number, littleEndian?: boolean): number
  getFloat32 (at: number, littleEndian?: boolean): number
  getFloat64 (at: number, littleEndian?: boolean): number
  getBigUint64 (at: number, littleEndian?: boolean): bigint
  getBigInt64 (at: number, littleEndian?: boolean): bigint
}

export interface QueueStats {
  /** Bytes for messages and their heads. */
  capacity: number
  /** Bytes of them that are in use. */
  used: number
  /** Messages sent and received. Without `ack`, `received` has exactly those that programs got, also such as were killed then. */
  sent: number
  received: number
}

/** What a queue in a file held when it was opened by the first. */
export interface QueueRestored {
  /** Messages that are in the queue. */
  messages: number
  /** Places where messages were, or may have been, that did not reach the disk whole. Each is one message or more. */
  dropped: number
  /** Bytes of the queue that they took. */
  droppedBytes: number
}

/**
 * A work queue in shared memory: many senders, many receivers, in any processes and threads of this user; each message goes to one receiver.
 * With `ack: true` receivers get a {@link QueueMessage}, else what was sent.
 *
 * Codes of its errors, and of a topic's: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ABORT_ERR; ERR_QUEUE_CLOSED,
 * ERR_QUEUE_FULL (65,536 calls wait), ERR_QUEUE_CODEC, ERR_QUEUE_DAMAGED; ERR_INVALID_STATE (a detached or sent buffer, a view that is
 * over), ERR_BUFFER_OUT_OF_BOUNDS; ERR_SHARED_KIND, ERR_SHARED_FULL, ERR_SHARED_LAYOUT, ERR_SHARED_DAMAGED, ERR_NOT_SUPPORTED; ENOENT,
 * EEXIST, EBUSY, EACCES, ENOSPC, EMFILE, ENOMEM and what else the system says. docs/queue.md says when.
 */
export class Queue<T = any> extends EventEmitter implements AsyncIterable<T> {
  /** Opens the queue of that name or ticket, or creates it. */
  constructor (name?: string, options?: QueueOptions)
  /** A queue without a name, or in a file. */
  constructor (options: QueueOptions)

  /** The name it was created with, or `null`. */
  readonly name: string | null
  /** What opens exactly this queue in another process or thread. `null` for one in a file. */
  readonly ticket: string | null

  /** Its ticket: so `process.send({ queue })` and JSON carry what another process opens it by. */
  toJSON(): string | null
  readonly closed: boolean
  /** The file it is in, or `null`. */
  readonly path: string | null
  /** What was found in a file that nobody else had open; `null`: it was in use, was created, or is in no file. */
  readonly restored: QueueRestored | null

  /** Waits while the queue is full. When the promise is fulfilled the message is in the queue, whatever becomes of this process. */
  send (value: any, options?: WaitOptions): Promise<void>
  /** `false`: the queue is full. */
  trySend (value: any): boolean
  /** All, in order and in batches. If it fails, `error.sent` says how many were sent: the first ones, no other. */
  sendMany (values: Iterable<any>, options?: WaitOptions): Promise<void>
  /** Blocks the thread while the queue is full, or calls wait for room. `spin`: microseconds of looking before it sleeps, default 0. `false`: it was full until the timeout. */
  sendSync (value: any, options?: TimeoutOptions & { spin?: number }): boolean

  /**
   * A Buffer in shared memory that becomes a message when it is sent (itself, or its first bytes), without a copy: for large ones. What is
   * in it at first may be anything, as of `Buffer.allocUnsafe`. After that it has length 0. One that is not sent goes when it is collected.
   */
  alloc (size: number): Buffer

  receive (options?: WaitOptions): Promise<T>
  /**
   * `undefined`: there is none now. The next messages of a batch are kept until the event loop goes on: a loop without `await` that
   * takes its time for each message keeps them from idle receivers, `receiveSync({ timeout: 0 })` does not.
   */
  tryReceive (): T | undefined
  /** All that are there, up to `most` (default and limit: 1024); waits for the first. */
  receiveMany (most?: number, options?: WaitOptions): Promise<T[]>
  /** Blocks the thread. `spin`: microseconds of looking before it sleeps, default 20. `undefined`: none came before the timeout. */
  receiveSync (options?: TimeoutOptions & { spin?: number }): T | undefined
  /** Ends when the queue is closed. Leaving the loop leaves the messages in the queue. */
  [Symbol.asyncIterator] (): AsyncIterableIterator<T>

  /** Waits until there is a message, and takes none: `drain` then finds it, if no other receiver was faster. */
  readable (options?: WaitOptions): Promise<void>
  /**
   * Calls `each` for every message that is there, in place. Gives their number. If it throws, the message that it was called with is
   * received, the others stay. With `ack: true` each message that it returns for is acknowledged, with the others of a batch (1024 at
   * most) or when it closes the queue; the one that it throws for goes back into the queue.
   */
  drain (each: (view: QueueView) => void, options?: { max?: number }): number
  /** As `message.ack()`. */
  ack (message: QueueMessage): boolean

  stats (): QueueStats
  /** Waits until all that is in the queue now would survive a power cut. Only queues in files have anything to wait for. */
  flush (): Promise<void>
  /** What waits is rejected with ERR_QUEUE_CLOSED, loops end. Messages stay for the others. */
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
