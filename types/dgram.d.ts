// The types of `interproc/dgram`: the shape is node:dgram's, and one thing more.

import * as dgram from 'node:dgram'

export type { BindOptions, RemoteInfo, SocketOptions, SocketType } from 'node:dgram'

/** A UDP socket. */
export class Socket extends dgram.Socket {
  /**
   * Sends many datagrams to one place with few system calls.
   * @param callback how many the kernel took, and what the first other one failed with
   */
  sendMany (messages: readonly (string | NodeJS.ArrayBufferView)[], port: number, address?: string,
    callback?: (error: Error | null, sent: number) => void): void
  sendMany (messages: readonly (string | NodeJS.ArrayBufferView)[], port: number, callback: (error: Error | null, sent: number) => void): void
  /** On a connected socket. */
  sendMany (messages: readonly (string | NodeJS.ArrayBufferView)[], callback?: (error: Error | null, sent: number) => void): void
}

export function createSocket (type: dgram.SocketType, callback?: (message: Buffer, from: dgram.RemoteInfo) => void): Socket
export function createSocket (options: dgram.SocketOptions, callback?: (message: Buffer, from: dgram.RemoteInfo) => void): Socket
