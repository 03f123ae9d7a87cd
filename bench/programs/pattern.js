'use strict'

// A prime: a piece that is lost or doubled shifts the pattern, because buffers have sizes that are powers of two.
const PERIOD = 65521
const bytes = Buffer.alloc(PERIOD)
for (let i = 0; i < PERIOD; i++) bytes[i] = i * 31 + (i >> 8)

/** The endless stream of bytes that bulk rows send: this buffer again and again. */
const pattern = bytes

/** The same stream as messages of `size` bytes, made before the first is asked for. Views of one Buffer. */
function pieces (size) {
  const long = Buffer.concat(Array(Math.ceil(size / PERIOD) + 1).fill(bytes))
  return (function* () {
    for (let at = 0; ; at = (at + size) % PERIOD) yield long.subarray(at, at + size)
  })()
}

/** Throws unless the chunks continue the pattern. */
class PatternChecker {
  #twice = Buffer.concat([bytes, bytes])
  #position = 0

  /** `whole`: compares each byte, else both ends of the chunk only (comparing gigabytes would be part of the measure). */
  check (chunk, whole) {
    const { length } = chunk
    const good = whole ? this.#same(chunk) : chunk[0] === this.#at(0) && chunk[length - 1] === this.#at(length - 1)
    if (!good) throw new Error(`wrong bytes in the ${length} from ${this.#position}`)
    this.#position += length
  }

  #at (offset) { return bytes[(this.#position + offset) % PERIOD] }

  #same (chunk) {
    for (let offset = 0; offset < chunk.length; offset += PERIOD) {
      const piece = chunk.subarray(offset, offset + PERIOD)
      const start = (this.#position + offset) % PERIOD
      if (!piece.equals(this.#twice.subarray(start, start + piece.length))) return false
    }
    return true
  }
}

module.exports = { pattern, pieces, PatternChecker }
