'use strict'

/**
 * `onmessage` and the like: a listener whose place among the others is where it was first set.
 * https://html.spec.whatwg.org/#event-handler-idl-attributes
 */
class Handlers {
  #target
  /** @type {Map<string, { handler: any, listener: (event: Event) => void }>} */
  #set = new Map()

  /** @param {EventTarget} target */
  constructor (target) {
    this.#target = target
  }

  /** @param {string} type */
  get (type) {
    return this.#set.get(type)?.handler ?? null
  }

  /**
   * @param {string} type
   * @param {any} handler what is no object is as good as null
   */
  set (type, handler) {
    const known = this.#set.get(type)
    if (typeof handler !== 'function' && (typeof handler !== 'object' || handler === null)) {
      if (known === undefined) return
      this.#set.delete(type)
      return this.#target.removeEventListener(type, known.listener)
    }
    if (known !== undefined) {
      known.handler = handler
      return
    }
    const target = this.#target
    const entry = {
      handler,
      /** @param {Event} event */
      listener (event) {
        if (typeof entry.handler === 'function') Reflect.apply(entry.handler, target, [event])
      }
    }
    this.#set.set(type, entry)
    target.addEventListener(type, entry.listener)
  }
}

module.exports = { Handlers }
