import map from './index.js'

export const { SharedCounter, SharedMap } = map
export default map
