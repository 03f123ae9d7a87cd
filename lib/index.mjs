import cjs from './index.js'

export const { SharedBuffer, dgram, net, version, zmq } = cjs
export default cjs
