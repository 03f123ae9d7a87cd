'use strict'

/** Locks, semaphores, and waiting for words of shared memory, between all processes of a user. */

const { locks } = require('./lock-manager')
const { Semaphore } = require('./semaphore')
const { wait, waitAsync, notify } = require('./words')

/** @satisfies {typeof import('../../types/locks.d.ts')} */
const exported = { locks, Semaphore, wait, waitAsync, notify }

module.exports = exported
