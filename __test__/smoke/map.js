'use strict'

// A map is one for two processes: a child changes what the parent wrote, and the parent, which keeps what it read, sees it.
const assert = require('node:assert')
const { spawnSync } = require('node:child_process')
const { SharedCounter, SharedMap } = require('interproc')

const values = ['größe 💡', 1, -0, NaN, null, true, { a: [1, { b: 2 }] }, [], 'x'.repeat(50_000), { t: 'é'.repeat(40_000) }]

if (process.argv[2] !== undefined) {
  const map = new SharedMap(process.argv[2])
  assert.deepStrictEqual(map.get('value'), values.at(-1))
  map.set('value', 'changed')
  map.update('list', list => [...list, 'child'])
  assert.equal(map.increment('count', 41), 42)
  new SharedCounter(process.argv[2]).add(2n)
} else {
  const map = new SharedMap({ capacity: 2 ** 20 })
  for (const value of values) {
    map.set('value', value)
    for (let i = 0; i < 3; i++) assert.deepStrictEqual(map.get('value'), value)
  }
  map.set('bytes', Buffer.from([1, 255])).set('list', ['parent']).set('count', 1)
  assert(Buffer.isBuffer(map.get('bytes')))
  const counter = new SharedCounter(map.ticket)
  const { status, stderr } = spawnSync(process.execPath, [__filename, map.ticket], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.equal(map.get('value'), 'changed')
  assert.deepStrictEqual([...map], [['value', 'changed'], ['bytes', Buffer.from([1, 255])], ['list', ['parent', 'child']], ['count', 42]])
  assert.equal(counter.value, 2n)
  map.close()
  assert.throws(() => map.get('value'), { code: 'ERR_INVALID_STATE' })
  console.log('two processes had one map')
}
