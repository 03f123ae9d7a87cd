import cjs from './index.js'

export const { version } = cjs
export default cjs
