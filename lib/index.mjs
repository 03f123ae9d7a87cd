import cjs from './index.js'

export const {
  ChildProcess, Queue, SharedBuffer, dgram, exec, execFile, execFileSync, execSync, fork, net, spawn, spawnSync, version, zmq
} = cjs
export default cjs
