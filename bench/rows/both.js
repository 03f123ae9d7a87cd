'use strict'

/** The two sides of a row whose programs are the same text: they differ only in the module they load. */
function both (module, peerModule, programs, more = {}) {
  return {
    ours: { name: 'interproc', module, programs, ...more },
    peer: { name: peerModule === 'zeromq' ? 'zeromq.js' : peerModule, module: peerModule, programs, ...more }
  }
}

module.exports = { both }
