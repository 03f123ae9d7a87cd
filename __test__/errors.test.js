'use strict'

const { execFileSync } = require('node:child_process')
const errors = require('../lib/errors')
const validate = require('../lib/validate')
const { codes, system, checks, outcome } = require('./fixtures/error-cases')

// What this very Node makes of the same calls: its own constructors, in a process that may see them.
const nodes = JSON.parse(execFileSync(
  process.execPath,
  ['--expose-internals', '--no-warnings', require.resolve('./fixtures/error-cases')],
  { encoding: 'utf8', timeout: 20_000 }
))
const plain = value => JSON.parse(JSON.stringify(value))
const label = args => args.map(arg => typeof arg === 'string' ? arg : String(typeof arg)).join(' ')

describe('errors with codes are those of Node', () => {
  test.each(codes.map((one, i) => [label(one), one, nodes.codes[i]]))('%s', (_, [code, ...args], expected) => {
    expect(plain(outcome((...all) => new errors[code](...all), args))).toEqual(expected)
  })
})

describe('errors of system calls are those of Node', () => {
  const here = process.platform === 'linux' ? system.map((one, i) => [label(one), one, nodes.system[i]]) : []
  test.each(here)('%s', (_, [name, ...args], expected) => {
    expect(plain(outcome(errors[name], args))).toEqual(expected)
  })
})

describe('checks refuse and accept what those of Node do', () => {
  test.each(checks.map((one, i) => [label(one), one, nodes.checks[i]]))('%s', (_, [name, ...args], expected) => {
    expect(plain(outcome(validate[name], args))).toEqual(expected)
  })
})

test('every error is one of this realm, of the plain class, and its stack begins at the caller', () => {
  const error = new errors.ERR_OUT_OF_RANGE('size', '>= 0', -1)
  expect(error).toBeInstanceOf(RangeError)
  expect(error.constructor).toBe(RangeError)
  expect(Object.keys(error)).toEqual(['code'])
  expect(error.stack.split('\n')[1]).toContain('errors.test.js')
})

test('a number of the system has its code, and a code its number', () => {
  expect(errors.codeOf(errors.errnoOf('ECONNREFUSED'))).toBe('ECONNREFUSED')
  expect(errors.codeOf(-99999)).toBe('Unknown system error -99999')
  expect(errors.errnoOf('ENOSUCHCODE')).toBe(0)
})

test('an aborted operation has ABORT_ERR and the reason', () => {
  const error = new errors.AbortError(undefined, { cause: 'enough' })
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', message: 'The operation was aborted', cause: 'enough' })
})

test('several failed attempts are one error with the code of the first', () => {
  const first = errors.exceptionWithHostPort(errors.errnoOf('ECONNREFUSED'), 'connect', '::1', 1)
  const both = errors.aggregate([first, errors.errnoException(errors.errnoOf('ETIMEDOUT'), 'connect')])
  expect(both).toBeInstanceOf(AggregateError)
  expect(both.code).toBe('ECONNREFUSED')
  expect(both.errors[0]).toBe(first)
})

test('what the addon throws arrives as an error of this realm, with all that it said', () => {
  const foreign = { message: 'no', code: 'EACCES', errno: -13, syscall: 'open', path: '/x' }
  const fail = () => { throw foreign }
  const caught = () => {
    try {
      return errors.native(fail)
    } catch (error) {
      return error
    }
  }
  expect(caught()).toBeInstanceOf(Error)
  expect(caught()).toMatchObject({ ...foreign, cause: foreign })
  expect(errors.native(() => 5)).toBe(5)
})
