'use strict'

const { args, api, result } = require('./program')
const { Meter } = require('./meter')

const PASS = 100_000
const words = new BigInt64Array(new SharedArrayBuffer(64))
const counter = api.SharedCounter && new api.SharedCounter(`bench ${process.pid}`)

function addToCounter () {
  for (let i = 0; i < PASS; i++) counter.add(1n)
}

function addToWord () {
  for (let i = 0; i < PASS; i++) Atomics.add(words, 0, 1n)
}

const pass = counter ? addToCounter : addToWord
const meter = new Meter(args)
let passes = 0
for (let over = false; !over; passes++) {
  pass()
  over = meter.add(PASS, 15)
}
const value = counter ? counter.value : words[0]
if (value !== BigInt(passes * PASS)) throw new Error(`${value} after ${passes} passes of ${PASS}`)
result(meter.rate)
