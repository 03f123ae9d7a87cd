'use strict'

/** From normalized options to the native call: see src/node/process.rs, which has the same numbers. */

module.exports = {
  // Events.
  STARTED: 0,
  FAILED: 1,
  EXITED: 2,
  // Places in a table of descriptors.
  IGNORE: -1,
  INPUT: -2,
  OUTPUT: -3,
  PAIR: -4,
  textOf,
  flagsOf
}

const DETACHED = 1
const CWD = 2
const UID = 4
const GID = 8
const DIE_WITH_PARENT = 16

/**
 * File, directory, arguments and environment in one string: one crossing.
 * @param {import('./normalize').Normalized} options
 * @param {string[]} args
 */
function textOf ({ file, cwd, envPairs }, args) {
  let text = `${file}\0${cwd ?? ''}`
  for (const arg of args) text += `\0${arg}`
  for (const pair of envPairs) text += `\0${pair}`
  return text
}

/** @param {Record<string, any>} options */
function flagsOf ({ cwd, detached, uid, gid, dieWithParent }) {
  const bits = [detached && DETACHED, cwd && CWD, uid != null && UID, gid != null && GID, dieWithParent && DIE_WITH_PARENT]
  return bits.reduce((flags, bit) => flags | bit, 0)
}
