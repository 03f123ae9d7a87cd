import cjs from './index.js'

export const { SharedBuffer, net, version, zmq } = cjs
export default cjs
