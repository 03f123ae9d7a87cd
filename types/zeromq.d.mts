import * as zeromq from './zeromq.js'

export * from './zeromq.js'
export default zeromq
