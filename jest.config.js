'use strict'

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/__test__'],
  testMatch: ['**/*.test.js'],
  // target/ and npm/ hold copies of package.json that would be taken for other packages of the same name.
  modulePathIgnorePatterns: ['<rootDir>/target', '<rootDir>/npm', '<rootDir>/__test__/runtimes'],
  // A debug build on a busy machine is slow; what hangs is ended by each test's own watchdog.
  testTimeout: 30_000
}
