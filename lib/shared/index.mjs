import shared from './index.js'

export const { SharedBuffer, cleanup, list, remove } = shared
export default shared
