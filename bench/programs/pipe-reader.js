'use strict'

const { args, result } = require('./program')

const WARM_UP = 64 * 2 ** 20 // so many of the first bytes come before the clock starts

/**
 * Reads what a child prints, and tells at which rate.
 * @param {import('node:child_process').ChildProcess} child
 * @param {(chunk: Buffer, isWarmUp: boolean) => void} check throws for what was not written
 */
function read (child, check) {
  let received = 0
  let start = 0
  let before = 0

  child.stdout.on('data', chunk => {
    check(chunk, start === 0)
    received += chunk.length
    if (start === 0 && received >= WARM_UP) {
      start = performance.now()
      before = received
    }
  })
  child.stdout.on('end', () => {
    const seconds = (performance.now() - start) / 1000
    child.on('close', code => {
      if (code !== 0) throw new Error(`the child ended with ${code}`)
      if (received !== args.bytes) throw new Error(`${received} bytes came, ${args.bytes} were written`)
      result((received - before) / seconds)
    })
  })
}

module.exports = { read }
