'use strict'

// Requires the package by its name, and makes errors as Node words them.
const assert = require('node:assert')
const interproc = require('interproc')
const { errnoException, errnoOf, ERR_INVALID_ARG_TYPE } = require('../../lib/errors')
const { version } = require('../../package.json')

assert.equal(interproc.version, version)

const argument = new ERR_INVALID_ARG_TYPE('port', 'number', 'x')
assert(argument instanceof TypeError)
assert.equal(argument.code, 'ERR_INVALID_ARG_TYPE')
assert.equal(argument.name, 'TypeError')
assert.equal(argument.message, 'The "port" argument must be of type number. Received type string (\'x\')')

const system = errnoException(errnoOf('ENOENT'), 'spawn', 'nothing')
assert.equal(system.message, 'spawn ENOENT nothing')
assert.equal(system.code, 'ENOENT')

console.log(`interproc ${version} loads`)
