'use strict'

/**
 * What every measured program begins with: the module under test, the row's arguments, and the way to answer the driver.
 * The driver names the module in MODULE, so that ours and the peer run the same text.
 */
module.exports = {
  /** Arguments of the row; `address` is what the program started before this one said it is ready at. */
  args: JSON.parse(process.argv[2]),

  /** Loaded at first use, so that a program can time the loading itself. */
  get api () { return require(process.env.MODULE) },

  /** Tells the driver that the next program may start, and where it finds this one. */
  ready (address) { process.send({ ready: address ?? null }) },

  /** Tells the driver the measured value. The driver then ends all programs of the measurement. */
  result (value) { process.send({ result: value }) },

  /** Ends this program, and with it the measurement, with the reason. */
  fail (reason) {
    console.error(reason)
    process.exit(1)
  }
}

// The driver ended: without it, nobody would end this program.
process.on('disconnect', () => process.exit(0))
process.on('unhandledRejection', error => module.exports.fail(error))
