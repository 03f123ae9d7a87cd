'use strict'

/** What a handle calls on its socket. Symbols, so that no subclass of `net.Socket` overrides them by accident. */
module.exports = {
  kConnected: Symbol('connected'),
  kData: Symbol('data'),
  kDrain: Symbol('drain'),
  kEnd: Symbol('end'),
  kError: Symbol('error'),
  kSend: Symbol('send')
}
