'use strict'

// Every method that this runtime's Buffer has does the same on a SharedBuffer: same result, same bytes afterwards, same error.
const assert = require('node:assert')
const { SharedBuffer } = require('interproc')
const { METHODS, argumentsOf, outcomeOf } = require('../fixtures/buffer-calls')

const TEXT = 'hello world!'
let calls = 0
for (const name of METHODS) {
  for (const args of argumentsOf(name)) {
    const plain = Buffer.from(TEXT)
    const shared = SharedBuffer.from(TEXT)
    assert.deepStrictEqual(outcomeOf(shared, name, args), outcomeOf(plain, name, args), name)
    assert.deepStrictEqual([...shared], [...plain], name)
    shared.close()
    calls++
  }
}
for (const name of Reflect.ownKeys(Buffer)) assert.equal(typeof SharedBuffer[name], typeof Buffer[name], String(name))
console.log(`${METHODS.length} methods, ${calls} calls`)
