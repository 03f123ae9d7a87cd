'use strict'

/** Without any progress for so long nobody is killed or stopped any more: now someone can go on. */
const QUIET_MS = 5_000
/** Nobody did, although all live and run: a stall. */
const STALL_MS = 25_000

/**
 * Waits until `until`, and looks whether anything goes on.
 * @param {{ until: number, progress: () => number, victims: InstanceType<typeof import('./victims').Victims>, life: number }} what
 * @returns {Promise<boolean>} whether it went on all the time
 */
async function watch ({ until, progress, victims, life }) {
  let last = { count: progress(), at: Date.now() }
  let calm = false
  while (calm || Date.now() < until) {
    await new Promise(resolve => setTimeout(resolve, 100))
    const count = progress()
    if (count !== last.count) {
      last = { count, at: Date.now() }
      if (calm) victims.goOn(life)
      calm = false
    } else if (!calm && Date.now() - last.at > QUIET_MS) {
      calm = true
      victims.calm()
    } else if (calm && Date.now() - last.at > QUIET_MS + STALL_MS) {
      return false
    }
  }
  return true
}

module.exports = { watch, STALL_MS }
