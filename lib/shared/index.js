'use strict'

/** Shared memory: buffers that several processes have at once, and what there is on this machine. */

const { SharedBuffer } = require('./shared-buffer')
const { cleanup, list, remove } = require('./segments')
const { passThroughChannels } = require('./passing')

passThroughChannels()

/** @satisfies {typeof import('../../types/shared.d.ts')} */
const exported = { SharedBuffer, cleanup, list, remove }

module.exports = exported
