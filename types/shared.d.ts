// Shared memory between processes.

/** Options of a new shared buffer. */
export interface SharedBufferOptions {
  /** What others open it by: 1 to 200 bytes of UTF-8. Without one only its ticket finds it. */
  name?: string
  /** Whether it stays when its last user leaves, until `interproc rm` or a reboot. Default `false`. */
  persistent?: boolean
}

export interface SharedBufferOpenOptions {
  /**
   * Writing methods throw; what is written to the bytes in another way is seen by this thread alone, and its page (4096 bytes) no longer
   * shows what others write. Default `false`.
   */
  readOnly?: boolean
}

/** What `JSON.stringify` makes of a shared buffer, and `SharedBuffer.open` takes. */
export interface SharedBufferMarker {
  $interproc: 'SharedBuffer'
  ticket: string
}

/** A Buffer whose memory other processes have too. Slices are shared as well. */
export interface SharedBuffer extends Buffer<ArrayBuffer> {
  /** The name it was created with, or `null`. */
  readonly name: string | null
  /**
   * What `SharedBuffer.open` finds exactly this memory by, in any process or thread of the same user, while someone has it open. A
   * slice's ticket means the slice. Nobody can guess it. Throws `ERR_INVALID_STATE` once closed.
   */
  readonly ticket: string
  /** Whether it stays when its last user leaves. */
  readonly persistent: boolean
  /** Whether it was opened with `readOnly`. */
  readonly readOnly: boolean
  /** Whether it was closed. */
  readonly closed: boolean
  /**
   * Lets the memory go in this thread: this buffer, its slices and all typed arrays over it have length 0 from now on. Others keep
   * it. A second time does nothing. What is not closed is let go when it is collected, and when the process ends.
   */
  close(): void
  [Symbol.dispose](): void
  subarray(start?: number, end?: number): SharedBuffer
  slice(start?: number, end?: number): SharedBuffer
}

export interface SharedBufferConstructor {
  readonly prototype: SharedBuffer

  /**
   * Creates shared memory of `size` bytes, zeroed and with every page backed.
   *
   * Errors: `EEXIST` if the name is taken, `ENOSPC` if the memory does not suffice, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`.
   */
  alloc(size: number, options?: SharedBufferOptions): SharedBuffer
  alloc(size: number, fill: string | Uint8Array | number, options?: SharedBufferOptions): SharedBuffer
  alloc(size: number, fill: string | Uint8Array | number, encoding: BufferEncoding, options?: SharedBufferOptions): SharedBuffer
  /** The same as `alloc`: shared memory is always zeroed. */
  allocUnsafe(size: number, options?: SharedBufferOptions): SharedBuffer
  /** The same as `alloc`. */
  allocUnsafeSlow(size: number, options?: SharedBufferOptions): SharedBuffer

  /** Creates shared memory and copies into it what `Buffer.from` makes of the value. */
  from(text: string, options?: SharedBufferOptions): SharedBuffer
  from(text: string, encoding: BufferEncoding, options?: SharedBufferOptions): SharedBuffer
  from(bytes: Uint8Array | readonly number[] | ArrayBufferLike, options?: SharedBufferOptions): SharedBuffer
  from(bytes: ArrayBufferLike, byteOffset: number, length: number, options?: SharedBufferOptions): SharedBuffer
  of(...bytes: number[]): SharedBuffer
  concat(list: readonly Uint8Array[], options?: SharedBufferOptions): SharedBuffer
  concat(list: readonly Uint8Array[], totalLength: number, options?: SharedBufferOptions): SharedBuffer
  copyBytesFrom(view: NodeJS.TypedArray, offset?: number, length?: number): SharedBuffer

  /**
   * Opens the memory of another process or thread by name, ticket or marker. The same object again if this thread has it open.
   *
   * Errors: `ENOENT` if there is none (any more), `EACCES`, `ERR_SHARED_KIND` if it is a queue or another thing, `ERR_SHARED_DAMAGED`,
   * `ERR_SHARED_LAYOUT` if another version of the package made it, `ERR_SHARED_FULL` beyond 256 processes, `ERR_INVALID_ARG_VALUE`.
   */
  open(place: string | SharedBufferMarker, options?: SharedBufferOpenOptions): SharedBuffer

  /** Whether a value is a shared buffer of this thread. */
  isSharedBuffer(value: unknown): value is SharedBuffer

  isBuffer: typeof Buffer.isBuffer
  isEncoding: typeof Buffer.isEncoding
  byteLength: typeof Buffer.byteLength
  compare: typeof Buffer.compare
}

export const SharedBuffer: SharedBufferConstructor

/** One shared segment of this user on this machine. */
export interface SegmentInfo {
  name: string | null
  /** What opens and removes exactly this one; `null` if the file is damaged. */
  ticket: string | null
  /** `buffer`, `queue` …; `null` if the file is damaged. */
  kind: string | null
  /** Bytes of data. */
  size: number
  /** Bytes that it takes in all. */
  total: number
  persistent: boolean
  /** `in use`, `unused` (persistent, nobody has it), `orphan` (its users were killed), or what is broken about it. */
  health: string
  created: Date
  /** Who has it; a killed user is not `alive`. The pid is the one in that process's own PID namespace. */
  users: { pid: number, alive: boolean, since: Date }[]
  /** In the folder of segments, `/dev/shm` on Linux. */
  fileName: string
}

/** All shared segments of this user: buffers, queues and the rest, named or not. */
export function list(): SegmentInfo[]

/** Removes what killed processes left and what is damaged, never what someone uses. Gives what it removed. */
export function cleanup(): SegmentInfo[]

/**
 * Removes one segment by name or ticket, also a persistent one. `false` if it is in use; with `force` it goes nevertheless, and its
 * users keep the memory. `ENOENT` if there is none.
 */
export function remove(place: string, options?: { force?: boolean }): boolean
