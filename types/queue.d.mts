import * as queue from './queue.js'

export * from './queue.js'
export default queue
