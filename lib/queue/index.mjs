import queue from './index.js'

export const { Queue } = queue
export default queue
