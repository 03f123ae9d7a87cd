'use strict'

// The codes of errors of queues and topics are told: in docs/queue.md and in the types.

const fs = require('node:fs')
const path = require('node:path')
const errors = require('../lib/errors')

const root = path.join(__dirname, '..')
const read = file => fs.readFileSync(path.join(root, file), 'utf8')
const codesIn = text => [...new Set(text.match(/\b(?:ERR_[A-Z_]+|ABORT_ERR|E[A-Z]{3,})\b/g))].sort()

/** The table's codes: in the first column of the section. */
const section = /^## Errors$([\s\S]*?)^## /m.exec(read('docs/queue.md'))[1]
const told = codesIn([...section.matchAll(/^\| (`.*?) \|/gm)].map(([, first]) => first).join())

/** What the code of a folder names. */
const thrown = folder => codesIn(
  fs.readdirSync(path.join(root, folder), { recursive: true }).filter(name => name.endsWith('.js')).map(name => read(path.join(folder, name))).join()
)
const shared = codesIn(read('lib/shared/errors.js').replaceAll(/ERRNO/g, ''))

test('every code that queues and topics use is in the table', () => {
  expect(told).toEqual(expect.arrayContaining(shared))
  expect(told).toEqual(expect.arrayContaining(thrown('lib/queue').filter(code => code.startsWith('ERR_'))))
  const ofChannels = ['ERR_INVALID_THIS', 'ERR_MISSING_ARGS']
  expect(codesIn(read('docs/topic.md'))).toEqual(expect.arrayContaining(ofChannels))
  expect([...told, ...ofChannels]).toEqual(expect.arrayContaining(thrown('lib/topic').filter(code => code.startsWith('ERR_'))))
})

test('every code of the table is one that there is', () => {
  const here = new Set([...shared, ...thrown('lib/queue')])
  for (const code of told) {
    if (code.startsWith('ERR_')) expect([code, typeof errors[code], here.has(code)]).toEqual([code, 'function', true])
    else if (code !== 'ABORT_ERR') expect([code, errors.errnoOf(code)]).toEqual([code, expect.any(Number)])
  }
  expect(new errors.AbortError().code).toBe('ABORT_ERR')
})

test('the types tell the same codes', () => {
  const comment = /Codes of its errors[\s\S]*?\*\//.exec(read('types/queue.d.ts'))[0]
  expect(codesIn(comment)).toEqual(told)
})
