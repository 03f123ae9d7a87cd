'use strict'

/** A map and counters that all processes of a user share. */

const { SharedCounter } = require('./shared-counter')
const { SharedMap } = require('./shared-map')

/** @satisfies {typeof import('../../types/map.d.ts')} */
const exported = { SharedCounter, SharedMap: /** @type {any} */ (SharedMap) }

module.exports = exported
