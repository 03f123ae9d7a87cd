// The public types of interproc, written by hand. The compiler holds lib/index.js against them (`@satisfies` there).

/** The version of the package and of its native binary. */
export const version: string

export { SharedBuffer, type SharedBufferOptions, type SharedBufferOpenOptions } from './types/shared'

export {
  ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync, type OwnOptions
} from './types/child_process'

export { Queue, type QueueOptions, type QueueCodec, type QueueMessage, type QueueDecodeError, type QueueView, type QueueStats } from './types/queue'

export { BroadcastChannel, Topic, type Subscription, type SubscribeOptions, type TopicOptions, type TopicStats } from './types/topic'

export {
  locks, Semaphore, wait, waitAsync, notify,
  type HeldLock, type Lock, type LockInfo, type LockManager, type LockManagerSnapshot, type LockMode, type LockOptions, type LockSyncOptions,
  type Permit, type WaitAsyncResult
} from './types/locks'

export { SharedCounter, SharedMap, type SharedMapOptions, type SharedMapSetOptions } from './types/map'

/** What `node:net` has, see `interproc/net`. */
export * as net from './types/net'

/** Message queues: zeromq.js 6's classes, and version 5's `socket('push')` beside them. */
export * as zmq from './types/zmq'

/** What `node:dgram` has and `sendMany`, see `interproc/dgram`. */
export * as dgram from './types/dgram'
