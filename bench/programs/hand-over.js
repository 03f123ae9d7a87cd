'use strict'

// A child changes each page of a buffer and gives it back: with a SharedBuffer both have it; else its bytes are sent.
const path = require('node:path')
const { args, api, result } = require('./program')
const { Meter } = require('./meter')

const PAGE = 4096

const shared = api.SharedBuffer?.alloc(args.bytes)
const child = api.fork(path.join(__dirname, 'hand-over-child.js'), shared ? {} : { serialization: 'advanced' })
const meter = new Meter(args)
let mark = 0

child.on('message', answer => {
  const buffer = shared ?? answer.buffer
  for (let page = 0; page < args.bytes; page += PAGE) {
    if (buffer[page] !== mark) throw new Error(`page ${page / PAGE} holds ${buffer[page]} instead of ${mark}`)
  }
  if (meter.add(1, 3)) return result(meter.rate)
  hand({ buffer })
})

function hand ({ buffer }) {
  mark = (mark + 1) % 256
  child.send(shared ? { mark } : { mark, buffer })
}

if (shared) child.send({ buffer: shared })
hand({ buffer: Buffer.alloc(args.bytes) })
