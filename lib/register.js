'use strict'

/**
 * `node --require interproc/register`: shared buffers in messages arrive as such, with no other change to the program. Our `fork`
 * preloads it in every child. Light: the native addon is loaded when the first one arrives.
 */

require('./shared/passing').passThroughChannels()

// `process.execArgv` is what the program was started with; that we came along is nobody's business, its own forks' least.
const here = process.execArgv.indexOf(__filename)
if (here > 0 && process.execArgv[here - 1] === '--require') process.execArgv.splice(here - 1, 2)
