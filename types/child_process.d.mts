import * as child_process from './child_process.js'

export * from './child_process.js'
export default child_process
