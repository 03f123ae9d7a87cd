'use strict'

// Any program will do: it reads its standard input, and writes to its standard output.
process.stdin.setEncoding('utf8')
process.stdin.on('data', text => process.stdout.write(text.toUpperCase()))
