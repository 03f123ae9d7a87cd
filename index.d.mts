import * as interproc from './index.js'
export * from './index.js'
export default interproc
