import * as room from './locks.js'

export * from './locks.js'
export default room
