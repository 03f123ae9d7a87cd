'use strict'

/**
 * The writes of one tick: the first one of each socket leaves at once, the later ones gather here and leave in one
 * system call at the tick's end, when this memory is full, or when another socket needs it. One per thread.
 */

const { kSend } = require('./symbols')

const SIZE = 64 * 1024

const sameTick = {
  /** Goes up at the end of a tick that writes, and with each event of a handle: a socket remembers when it wrote last. */
  tick: 0,
  /** An event of a handle is being told: its end will be noticed, no tick need be asked for. */
  inEvent: false,
  /** @type {Buffer} */
  memory: Buffer.allocUnsafeSlow(SIZE),
  /** Bytes gathered. */
  used: 0,
  /** @type {any} whose they are */
  owner: null,
  scheduled: false,
  SIZE,
  flush,
  schedule
}

module.exports = sameTick

/** Sends what was gathered. */
function flush () {
  const { owner, used } = sameTick
  sameTick.owner = null
  sameTick.used = 0
  if (used > 0) owner[kSend](sameTick.memory, used)
}

/** Sees to it that the tick's end is noticed. */
function schedule () {
  if (sameTick.scheduled) return
  sameTick.scheduled = true
  process.nextTick(endTick)
}

function endTick () {
  sameTick.scheduled = false
  sameTick.tick += 1
  flush()
}
