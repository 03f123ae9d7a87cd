'use strict'

module.exports = {
  /** Nesting beyond this is a mistake (a cycle) or an attack. */
  DEPTH: 512,
  /** The extension type of a time. */
  TIMESTAMP: -1
}
