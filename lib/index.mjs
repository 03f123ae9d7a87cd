import cjs from './index.js'

export const { SharedBuffer, net, version } = cjs
export default cjs
