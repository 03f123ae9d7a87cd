'use strict'

const { args, api, result } = require('./program')
const { Meter } = require('./meter')

const buffer = (api.SharedBuffer ?? api.Buffer).alloc(args.bytes)
const numbers = new Int32Array(buffer.buffer, buffer.byteOffset, args.bytes / 4)

function pass () {
  for (let i = 0; i < numbers.length; i++) numbers[i] = numbers[i] + i
}

const meter = new Meter(args)
let passes = 0
for (let over = false; !over; passes++) {
  pass()
  over = meter.add(numbers.length, 15)
}
for (let i = 0; i < numbers.length; i++) {
  if (numbers[i] !== Math.imul(i, passes)) throw new Error(`number ${i} is ${numbers[i]} after ${passes} passes`)
}
result(meter.rate)
