import cjs from './index.js'

export const {
  BroadcastChannel, ChildProcess, Queue, Semaphore, SharedBuffer, SharedCounter, SharedMap, Topic, dgram, exec, execFile, execFileSync,
  execSync, fork, locks, net, notify, spawn, spawnSync, version, wait, waitAsync, zmq
} = cjs
export default cjs
