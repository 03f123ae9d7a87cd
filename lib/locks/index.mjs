import room from './index.js'

export const { Semaphore, locks, notify, wait, waitAsync } = room
export default room
