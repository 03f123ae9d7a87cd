'use strict'

const size = Number(process.argv[2])
const AT_ONCE = 256 // then it waits until they are written: the channel has no bound of its own
let next = 0

function send () {
  for (let i = 1; i < AT_ONCE; i++) process.send(String(next++).padStart(size, '0'))
  process.send(String(next++).padStart(size, '0'), send)
}

send()
