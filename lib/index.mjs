import cjs from './index.js'

export const { SharedBuffer, version } = cjs
export default cjs
