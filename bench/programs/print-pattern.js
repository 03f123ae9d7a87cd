'use strict'

// The child of spawn-pipe-read: writes as many bytes of the pattern as its argument says, as quickly as the reader takes them.
const { writeSync } = require('node:fs')
const { pattern } = require('./pattern')

const bytes = Number(process.argv[2])
for (let written = 0; written < bytes;) {
  const offset = written % pattern.length
  written += writeSync(1, pattern, offset, Math.min(pattern.length - offset, bytes - written))
}
