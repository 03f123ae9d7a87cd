'use strict'

/** Topics and broadcast channels in shared memory, see docs/topic.md. */

const { BroadcastChannel } = require('./broadcast-channel')
const { Topic } = require('./topic')

/** @satisfies {Omit<typeof import('../../types/topic'), 'Subscription'>} */
const topic = { BroadcastChannel, Topic: /** @type {any} */ (Topic) }

module.exports = topic
