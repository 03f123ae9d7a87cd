'use strict'

/** Queues in shared memory, see docs/queue.md. */

const { Queue } = require('./queue')

module.exports = { Queue }
