'use strict'

/**
 * `node --require interproc/register`: shared buffers in messages arrive as such, with no other change to the program. Our `fork`
 * preloads it in every child. Light: the native addon is loaded when the first one arrives.
 */

require('./shared/passing').passThroughChannels()
