import cjs from './index.js'

export const {
  ChildProcess, Queue, Semaphore, SharedBuffer, SharedCounter, SharedMap, dgram, exec, execFile, execFileSync, execSync, fork, locks, net,
  notify, spawn, spawnSync, version, wait, waitAsync, zmq
} = cjs
export default cjs
