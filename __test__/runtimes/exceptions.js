'use strict'

/**
 * What a runtime lacks: the program that shows it, and why, in the words of the table in README.md. A program that fails
 * without being named here, and one that is named and works, both fail `npm run test:runtimes`.
 *
 * @type {{ runtime: 'node22' | 'node24' | 'node26' | 'bun' | 'deno', program: string, reason: string }[]}
 */
module.exports = []
