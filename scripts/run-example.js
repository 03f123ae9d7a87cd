#!/usr/bin/env node
'use strict'

/** `node scripts/run-example.js NAME [RUNTIME FLAGS…]`: runs one example, its programs on that runtime, and prints what they say. */

const { examples, runExample } = require('./examples')

const [name, ...command] = process.argv.slice(2)
const example = examples.find(one => one.name === name)

if (example === undefined) {
  console.error(`There is no example ${name}.`)
  process.exitCode = 1
} else {
  const onLine = (program, line) => console.log(`${program}: ${line}`)
  runExample(example, { ...(command.length > 0 ? { command } : {}), onLine }).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
}
