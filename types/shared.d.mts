import * as shared from './shared.js'

export * from './shared.js'
export default shared
