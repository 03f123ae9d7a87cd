'use strict'

/** What tests leave behind: files in the temporary folder that they were given, and in /dev/shm segments that nobody has mapped. */

const fs = require('node:fs')
const path = require('node:path')

const SHM = '/dev/shm'

module.exports = { leftoversSince }

/**
 * @param {string} temporary the folder that the tests have as TMPDIR, empty now
 * @returns {() => string[]} to be called when they have ended: what is there now
 */
function leftoversSince (temporary) {
  const before = new Set(list(SHM))
  return () => {
    const segments = list(SHM).filter(name => !before.has(name)).map(name => path.join(SHM, name))
    const mapped = segments.length === 0 ? '' : mappings()
    return [
      ...list(temporary).map(name => path.join(temporary, name)),
      // Another program of this machine may be using the package meanwhile: what a live process has mapped is not left behind.
      ...segments.filter(file => !mapped.includes(file))
    ]
  }
}

/** @param {string} folder */
function list (folder) {
  return fs.existsSync(folder) ? fs.readdirSync(folder) : []
}

/** The memory maps of all processes, where the system shows them. */
function mappings () {
  return list('/proc').filter(name => /^\d+$/.test(name)).map(pid => {
    try {
      return fs.readFileSync(`/proc/${pid}/maps`, 'utf8')
    } catch {
      return '' // It has ended, or belongs to someone else.
    }
  }).join('\n')
}
