// Imports the package by its name: the names and the default are what require gives.
import assert from 'node:assert'
import { createRequire } from 'node:module'
import interproc, * as names from 'interproc'

const required = createRequire(import.meta.url)('../../lib/index.js')

assert.equal(interproc, required)
for (const [name, value] of Object.entries(required)) assert.equal(names[name], value, name)
console.log(`${Object.keys(required).length} names are imported`)
