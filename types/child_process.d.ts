// The types of `interproc/child_process`: its shape is node:child_process's, and so are its types.

import type { ChildProcess, ForkOptions, SpawnOptions } from 'node:child_process'
import type * as child_process from 'node:child_process'

export * from 'node:child_process'

/** What our `spawn` and `fork` can do beside Node's. */
export interface OwnOptions {
  /** The kernel kills the child when this process ends, also by `kill -9`. Linux. */
  dieWithParent?: boolean
}

export const spawn: typeof child_process.spawn & {
  (command: string, options: SpawnOptions & OwnOptions): ChildProcess
  (command: string, args: readonly string[], options: SpawnOptions & OwnOptions): ChildProcess
}

export const fork: typeof child_process.fork & {
  (modulePath: string | URL, options: ForkOptions & OwnOptions): ChildProcess
  (modulePath: string | URL, args: readonly string[], options: ForkOptions & OwnOptions): ChildProcess
}
