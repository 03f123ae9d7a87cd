// The types of `interproc/net`: its shape is node:net's, and so are its types.

import { Socket } from 'node:net'

export * from 'node:net'
/** The name of `Socket` in early Node. */
export { Socket as Stream }
