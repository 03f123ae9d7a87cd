'use strict'

process.on('message', ({ buffer }) => {
  const length = buffer.write('written by the worker')
  process.send(length)
})
