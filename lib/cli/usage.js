'use strict'

/** What queues, topics, maps and the tables of locks and counters hold. Whoever looks is a user of the segment as long as it looks. */

const { agent, modes } = require('../locks/agent')
const { SharedCounter } = require('../map/shared-counter')
const { SharedMap } = require('../map/shared-map')
const { Queue } = require('../queue')
const { Topic } = require('../topic')
const { bytes } = require('./table')

/**
 * @typedef {object} Used
 * @property {string} holds for people
 * @property {number} [used] bytes of messages
 * @property {number} [capacity]
 * @property {number} [sent] messages, by the handles that are open
 * @property {number} [received]
 * @property {number} [subscribers]
 * @property {number} [lossy]
 * @property {number} [entries]
 * @property {number} [held] requests
 * @property {number} [pending]
 */

class Usage {
  /** @type {Map<string, { stats: () => Used, close: () => void }>} */
  #open = new Map()

  /**
   * @param {import('../../types/shared').SegmentInfo} info
   * @returns {Used | null} where nothing is to be told
   */
  of ({ kind, ticket, health, users, fileName }) {
    // Where only we are left, we must not keep it.
    const others = users.some(({ pid, alive }) => alive && pid !== process.pid)
    if (health !== 'in use' || ticket === null || !others) {
      this.#forget(fileName)
      return null
    }
    try {
      if (kind === 'locks') return locks()
      if (kind === 'counters') return counters()
      const known = this.#open.get(fileName) ?? look(kind, ticket)
      if (known === undefined) return null
      this.#open.set(fileName, known)
      return known.stats()
    } catch {
      // Gone meanwhile, or damaged: its state says so.
      this.#forget(fileName)
      return null
    }
  }

  close () {
    for (const fileName of this.#open.keys()) this.#forget(fileName)
  }

  /** @param {string} fileName */
  #forget (fileName) {
    this.#open.get(fileName)?.close()
    this.#open.delete(fileName)
  }
}

/**
 * @param {string | null} kind
 * @param {string} ticket
 */
function look (kind, ticket) {
  if (kind === 'map') {
    const map = new SharedMap(ticket)
    return { stats: () => ({ holds: `${map.size} entries`, entries: map.size }), close: () => map.close() }
  }
  if (kind === 'topic') {
    const topic = new Topic(ticket)
    return {
      stats () {
        const stats = topic.stats()
        const { used, subscribers } = stats
        return { holds: `${used === 0 ? 'nothing' : bytes(used)} for ${subscribers} subscriber${subscribers === 1 ? '' : 's'}`, ...stats }
      },
      close: () => topic.close()
    }
  }
  if (kind !== 'queue') return undefined
  const queue = new Queue(ticket)
  return {
    stats () {
      const stats = queue.stats()
      return { holds: stats.used === 0 ? 'nothing' : bytes(stats.used), ...stats }
    },
    close: () => queue.close()
  }
}

/** @returns {Used} */
function locks () {
  const requests = agent().list().filter(({ mode }) => mode !== modes.wait)
  const held = requests.filter(request => request.held).length
  return { holds: `${held} held, ${requests.length - held} waited for`, held, pending: requests.length - held }
}

/** @returns {Used} */
function counters () {
  const entries = SharedCounter.list().length
  return { holds: `${entries} counters`, entries }
}

module.exports = { Usage }
