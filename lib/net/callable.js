'use strict'

module.exports = { callable }

/**
 * A class that may be called without `new`, as Node's own `net.Socket(...)` and `net.Server(...)` are. Its name is the
 * class's without `Class`. Subclasses made by `class … extends` work; `Socket.call(this)` with `util.inherits` cannot.
 * @template {new (...args: any[]) => any} T
 * @param {T} base
 * @returns {T & ((...args: ConstructorParameters<T>) => InstanceType<T>)}
 */
function callable (base) {
  /** @type {any} */
  const made = /** @this {any} */ function (/** @type {any[]} */ ...args) {
    if (new.target === undefined && this instanceof made) {
      throw new TypeError(`${made.name} cannot be inherited from with util.inherits(); use class ... extends ${made.name}`)
    }
    return Reflect.construct(base, args, new.target ?? made)
  }
  Object.setPrototypeOf(made, base)
  made.prototype = base.prototype
  Object.defineProperty(made, 'name', { value: base.name.replace(/Class$/, '') })
  Object.defineProperty(base.prototype, 'constructor', { value: made, writable: true, configurable: true })
  return made
}
