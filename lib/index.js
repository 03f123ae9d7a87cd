'use strict'

/**
 * What the package has. A room is loaded when something of it is first asked for: a program that only spawns does not wait for
 * ZeroMQ. The native binary is loaded at once, so that where it is missing the program's first line says so.
 */

const { version } = require('./native')

/** @typedef {Omit<typeof import('../types/child_process'), 'default'>} ChildProcessFace */
const childProcess = () => /** @type {ChildProcessFace} */ (/** @type {any} */ (require('./child_process'))) // Typed as Node's own.

/** @satisfies {typeof import('../index.d.ts')} */
const interproc = {
  get ChildProcess () { return childProcess().ChildProcess },
  get exec () { return childProcess().exec },
  get execFile () { return childProcess().execFile },
  get execFileSync () { return childProcess().execFileSync },
  get execSync () { return childProcess().execSync },
  get fork () { return childProcess().fork },
  get spawn () { return childProcess().spawn },
  get spawnSync () { return childProcess().spawnSync },
  get BroadcastChannel () { return require('./topic').BroadcastChannel },
  get Queue () { return /** @type {any} */ (require('./queue')).Queue },
  get Semaphore () { return require('./locks').Semaphore },
  get SharedBuffer () { return require('./shared').SharedBuffer },
  get SharedCounter () { return require('./map').SharedCounter },
  get SharedMap () { return require('./map').SharedMap },
  get Topic () { return require('./topic').Topic },
  get dgram () { return /** @type {any} */ (require('./dgram')) }, // Typed as node:dgram: see types/dgram.d.ts.
  get locks () { return require('./locks').locks },
  get net () { return /** @type {any} */ (require('./net')) }, // Typed as node:net: see types/net.d.ts.
  get notify () { return require('./locks').notify },
  get wait () { return require('./locks').wait },
  get waitAsync () { return require('./locks').waitAsync },
  get zmq () { return require('./zeromq/both') },
  version: version()
}

for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(interproc))) {
  if (get !== undefined) settleOnUse(name, get)
}

// A forked child may get shared buffers before it asks for `SharedBuffer`. A parent gets them once it has used this package.
if (process.channel !== undefined) require('./shared/passing').passThroughChannels()

module.exports = interproc

/**
 * The first use of a getter puts its value in its place.
 * @param {string} name
 * @param {() => unknown} get
 */
function settleOnUse (name, get) {
  /** @param {unknown} value */
  const settle = value => Object.defineProperty(interproc, name, { value, configurable: true, enumerable: true, writable: true })
  Object.defineProperty(interproc, name, {
    configurable: true,
    enumerable: true,
    get () {
      const value = get()
      settle(value)
      return value
    },
    set: settle // As any property of module.exports: tests replace them.
  })
}
