import * as v5 from './v5-compat.js'

export * from './v5-compat.js'
export default v5
