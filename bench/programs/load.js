'use strict'

const { statSync } = require('node:fs')
const { args, result } = require('./program')

const start = performance.now()
const api = require(process.env.MODULE)
// What is loaded at its first use is not seen otherwise.
const missing = args.uses.filter(name => !name.split('.').reduce((value, key) => value?.[key], api))
const took = performance.now() - start

const addons = Object.keys(require.cache).filter(file => file.endsWith('.node'))
if (missing.length > 0) throw new Error(`no export ${missing.join(', ')}`)
if (args.measure === 'size' && addons.length !== 1) throw new Error(`${addons.length} addons were loaded instead of one`)
result(args.measure === 'size' ? statSync(addons[0]).size : took / 1000)
