// A map and counters between processes.

export interface SharedMapOptions {
  /** Bytes for entries; each takes a multiple of 128. Default 16 MiB, at least 1 KiB. Holds for a new map. */
  capacity?: number
  /** Milliseconds that an entry lives, unless `set` says otherwise. 0, the default: without an end. Holds for a new map. */
  ttl?: number
  /** Whether what was used longest ago makes room for new entries. Default `true`. Otherwise `ERR_INVALID_STATE`. Holds for a new map. */
  evict?: boolean
  /** Whether it stays when its last user leaves. Default `false`. */
  persistent?: boolean
}

export interface SharedMapSetOptions {
  /** Milliseconds; 0: without an end. Default: the map's. */
  ttl?: number
}

/**
 * A Map that all processes of a user share. Keys are strings, values bytes (also ArrayBuffers; they come back as a Buffer), strings, numbers,
 * or what JSON can say: no Map, Set, Error or promise, of which JSON makes `{}`. What `get` gives is the caller's own. Every call is atomic; who is killed amid one leaves the old value or the new one.
 */
export class SharedMap<V = any> {
  /** Opens the map of that name or ticket, or creates it; without a name, a new one. */
  constructor(name?: string, options?: SharedMapOptions)
  constructor(options: SharedMapOptions & { name?: string })
  readonly name: string | null
  /** What opens exactly this map elsewhere: `new SharedMap(ticket)`. */
  readonly ticket: string
  readonly capacity: number
  readonly size: number
  get(key: string): V | undefined
  has(key: string): boolean
  set(key: string, value: V, options?: SharedMapSetOptions): this
  /** `false`: there is one already, it stays. */
  setIfAbsent(key: string, value: V, options?: SharedMapSetOptions): boolean
  /**
   * Replaces the value by what `change` makes of it; nobody else's change is lost. `change` is called again if someone else was faster.
   * `undefined` removes the entry. Gives the new value. `change` cannot be async.
   */
  update(key: string, change: (value: V | undefined) => V | undefined, options?: SharedMapSetOptions): V | undefined
  /** Adds to a number, 0 where there is none, and gives the sum. `ttl` is a new entry's; one that is there keeps its end. */
  increment(key: string, by?: number, options?: SharedMapSetOptions): number
  delete(key: string): boolean
  clear(): void
  /** The keys of now, in the order of their coming. Others may write meanwhile: what they remove is left out of `entries` and `values`. */
  keys(): IterableIterator<string>
  values(): IterableIterator<V>
  entries(): IterableIterator<[string, V]>
  [Symbol.iterator](): IterableIterator<[string, V]>
  forEach(callback: (value: V, key: string, map: SharedMap<V>) => void, thisArg?: any): void
  /** Lets the map go in this thread. */
  close(): void
  [Symbol.dispose](): void
  readonly [Symbol.toStringTag]: string
}

/** A 64-bit counter that all processes of a user share, by name; there are up to 4096. It lives as long as someone uses counters. */
export class SharedCounter {
  constructor(name: string)
  readonly name: string
  value: bigint
  /** Adds, 1 by default, and gives what was there before, as `Atomics.add` does. */
  add(by?: bigint): bigint
  sub(by?: bigint): bigint
  and(mask: bigint): bigint
  or(mask: bigint): bigint
  xor(mask: bigint): bigint
  exchange(value: bigint): bigint
  compareExchange(expected: bigint, value: bigint): bigint
  toJSON(): string
  [Symbol.toPrimitive](hint: string): string | bigint
  static list(): { name: string, value: bigint }[]
}
