import * as topic from './topic.js'

export * from './topic.js'
export default topic
