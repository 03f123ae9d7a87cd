// Locks, semaphores and waits between processes.

export type LockMode = 'exclusive' | 'shared'

/** A lock that is held. */
export interface Lock {
  readonly name: string
  readonly mode: LockMode
  /** Its last holder was killed, or ended without giving it back: what it guards may be half-done. */
  readonly ownerDied: boolean
}

/** A lock that is held until it is released. */
export interface HeldLock extends Lock {
  /** `false` once released or stolen, also if this thread was not told of the theft yet. */
  readonly held: boolean
  /** Gives it back. `false`: it was released or stolen before. */
  release(): boolean
  [Symbol.dispose](): void
}

export interface LockOptions {
  /** `shared` locks of a name are held together, an `exclusive` one alone. Default `exclusive`. */
  mode?: LockMode
  /** Does not wait: `null` in place of a lock that is not free. */
  ifAvailable?: boolean
  /** Takes the lock from whoever holds it; their requests fail with an `AbortError`. */
  steal?: boolean
  /** Gives up waiting. */
  signal?: AbortSignal
}

export interface LockSyncOptions {
  mode?: LockMode
  ifAvailable?: boolean
  steal?: boolean
  /** Milliseconds. Default: without an end. */
  timeout?: number
  /** Counts at the call only: a blocked thread aborts nothing. */
  signal?: AbortSignal
}

export interface LockInfo {
  name: string
  mode: LockMode
  /** `<process id>-<number of the thread>` */
  clientId: string
}

export interface LockManagerSnapshot {
  held: LockInfo[]
  /** In the order in which they will get it. */
  pending: LockInfo[]
}

/**
 * The Web Locks API between all processes and threads of a user. A name is any string of up to 200 bytes of UTF-8 that does not begin
 * with `-`. First come, first served. What a killed process held is free at once; a stopped one keeps it.
 */
export interface LockManager {
  /**
   * Calls `callback` once the lock is there, holds it until what that returns has settled, and gives the same.
   *
   * A pending request keeps the process alive, a held lock does not. Fails with `signal.reason`, with a DOMException `AbortError` when the
   * lock is stolen, `NotSupportedError` for options that exclude each other, `QuotaExceededError` when the name's part of
   * the table is full: 1024 requests at a time, of all names, semaphores and waits of that eighth of them, of all processes of the user.
   */
  request<T>(name: string, callback: (lock: Lock) => T): Promise<Awaited<T>>
  request<T>(name: string, options: LockOptions & { ifAvailable?: false }, callback: (lock: Lock) => T): Promise<Awaited<T>>
  request<T>(name: string, options: LockOptions, callback: (lock: Lock | null) => T): Promise<Awaited<T>>
  /** Gets the lock until its `release()`. `timeout` is refused: a `signal` ends the waiting. */
  acquire(name: string, options?: LockOptions & { ifAvailable?: false }): Promise<HeldLock>
  acquire(name: string, options: LockOptions): Promise<HeldLock | null>
  /**
   * As `acquire`, but blocks the thread meanwhile: for workers and scripts. `null`: not within `timeout`. A thread that holds the lock
   * already waits for itself. A worker that is blocked can be terminated.
   */
  acquireSync(name: string, options?: LockSyncOptions): HeldLock | null
  query(): Promise<LockManagerSnapshot>
}

export const locks: LockManager

/** Permits that are held until they are released. */
export interface Permit {
  readonly count: number
  /** A process ended without giving back permits that it held, and nobody has been told before. */
  readonly ownerDied: boolean
  /** Gives them back. `false`: they were before. */
  release(): boolean
  [Symbol.dispose](): void
}

/** A number of permits that all processes of a user share, by name. First come, first served; those of the dead come back. */
export class Semaphore {
  /** @param permits How many there are in all. `ERR_INVALID_STATE` from the first request on where others use the name with another number. */
  constructor(name: string, permits: number)
  readonly name: string
  readonly permits: number
  acquire(options?: { count?: number, signal?: AbortSignal }): Promise<Permit>
  /** `null`: they are not free. */
  tryAcquire(options?: { count?: number, signal?: AbortSignal }): Permit | null
  /** Blocks the thread. `null`: not within `timeout` milliseconds. A `signal` counts at the call only: a blocked thread aborts nothing. */
  acquireSync(options?: { count?: number, timeout?: number, signal?: AbortSignal }): Permit | null
  /** Calls `callback` with permits, and gives them back when what it returns has settled. */
  request<T>(callback: (permit: Permit) => T): Promise<Awaited<T>>
  request<T>(options: { count?: number, signal?: AbortSignal }, callback: (permit: Permit) => T): Promise<Awaited<T>>
  query(): { permits: number, held: number, available: number, pending: number }
}

/**
 * As `Atomics.wait`, on a view of a SharedBuffer and between processes: blocks the thread until `notify`, if the word is `value`.
 * On a view of a SharedArrayBuffer it is `Atomics.wait`.
 */
export function wait(typedArray: Int32Array, index: number, value: number, timeout?: number): 'ok' | 'not-equal' | 'timed-out'
export function wait(typedArray: BigInt64Array, index: number, value: bigint, timeout?: number): 'ok' | 'not-equal' | 'timed-out'

/**
 * As `Atomics.waitAsync`. Takes no thread. Keeps the process alive until it is notified or timed out. Closing the buffer ends it with
 * `ERR_INVALID_STATE`. The same error where there are too many at a time: a part of the table of locks holds 768.
 */
export function waitAsync(typedArray: Int32Array, index: number, value: number, timeout?: number): WaitAsyncResult
export function waitAsync(typedArray: BigInt64Array, index: number, value: bigint, timeout?: number): WaitAsyncResult

export type WaitAsyncResult =
  | { async: false, value: 'not-equal' | 'timed-out' }
  | { async: true, value: Promise<'ok' | 'timed-out'> }

/** As `Atomics.notify`: wakes those who wait, first come, first served, and gives their number. */
export function notify(typedArray: Int32Array | BigInt64Array, index: number, count?: number): number
