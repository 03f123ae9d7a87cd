'use strict'

/** `interproc/zeromq`: the API of zeromq.js 6 on our own engine. */

const { Context, context } = require('./context')
const Observer = require('./observer')
/** @type {any} Their methods and options are put on them by type. */
const types = require('./types')

/** @satisfies {typeof import('../../types/zeromq.d.ts')} */
const zeromq = {
  /** What libzmq would call the protocol and API level. */
  version: '4.3.5',
  capability: { ipc: true, tipc: false, norm: false, pgm: false, curve: false, gssapi: false, draft: false },
  context,
  Context,
  Observer,
  ...types
}

module.exports = zeromq
