'use strict'

// Receives what the Rust program main.rs sends, a struct each, and answers.
const assert = require('node:assert')
const { Queue } = require('interproc')

const id = process.argv[2] ?? '7004'
const readings = new Queue(`readings ${id}`)
const answers = new Queue(`answers ${id}`)
console.log(`listening for readings ${id}`)

async function main () {
  const received = []
  for await (const reading of readings) {
    if (reading === 'that is all') break
    console.log(`from Rust: ${JSON.stringify(reading)}`)
    received.push(reading)
  }
  assert.deepEqual(received[0], { sensor: 'roof', number: 1, celsius: 20.5 })
  const sum = received.reduce((sum, { celsius }) => sum + celsius, 0)
  await answers.send({ count: received.length, mean: sum / received.length })
  // A queue lives as long as anyone has it open: until the producer has its answer, too.
  while (answers.stats().used > 0) await new Promise(resolve => setTimeout(resolve, 10))
}

main().finally(() => {
  readings.close()
  answers.close()
})
