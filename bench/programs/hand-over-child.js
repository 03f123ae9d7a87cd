'use strict'

const PAGE = 4096
let shared

process.on('message', ({ mark, buffer }) => {
  if (mark === undefined) {
    shared = buffer
    return
  }
  const bytes = buffer ?? shared
  for (let page = 0; page < bytes.length; page += PAGE) bytes[page] = mark
  process.send(buffer ? { buffer } : {})
})
