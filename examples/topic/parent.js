'use strict'

// One process publishes prices, three others get each of them.
const assert = require('node:assert')
const { fork, Topic } = require('interproc')

if (process.argv[2] === 'subscriber') subscribe(process.argv[3])
else publish()

async function publish () {
  const prices = new Topic()
  const workers = [1, 2, 3].map(() => fork(__filename, ['subscriber', prices.ticket]))
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve)))) // they listen now
  const sums = Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))))
  for (let price = 1; price <= 100; price++) await prices.publish({ price })
  await prices.publish('closed')
  assert.deepEqual(await sums, [5050, 5050, 5050])
  console.log('100 prices went to each of 3 processes')
}

async function subscribe (ticket) {
  const subscription = new Topic(ticket).subscribe()
  process.send('ready')
  let sum = 0
  for await (const message of subscription) {
    if (message === 'closed') break
    sum += message.price
  }
  process.send(sum)
  process.disconnect()
}
