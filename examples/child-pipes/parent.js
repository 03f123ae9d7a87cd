'use strict'

// Starts a child, writes lines to its standard input, and reads its answers from its standard output.
const assert = require('node:assert')
const { spawn } = require('interproc')

const child = spawn(process.execPath, [`${__dirname}/child.js`])
let answer = ''

child.stdout.on('data', chunk => { answer += chunk })
child.on('close', code => {
  process.stdout.write(answer)
  assert.equal(code, 0)
  assert.equal(answer, 'ONE\nTWO\nTHREE\n')
  console.log('3 lines went to the child, and came back in capitals')
})

child.stdin.write('one\n')
child.stdin.write('two\n')
child.stdin.end('three\n')
