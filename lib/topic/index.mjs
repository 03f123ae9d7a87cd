import topic from './index.js'

export const { BroadcastChannel, Topic } = topic
export default topic
