// What the code exports and the types do not name: nothing. (The other way round is checked where the code exports it.)

import type * as rootTypes from '../../index.d.ts'
import type * as netTypes from '../../types/net.d.ts'
import type * as sharedTypes from '../../types/shared.d.ts'
import type * as v5Types from '../../types/zeromq/v5-compat.d.ts'
import type * as zeromqTypes from '../../types/zeromq.d.ts'
import root = require('../../lib/index.js')
import net = require('../../lib/net/index.js')
import shared = require('../../lib/shared/index.js')
import v5 = require('../../lib/zeromq/v5-compat/index.js')
import zeromq = require('../../lib/zeromq/index.js')

type Untyped<Code, Types> = Exclude<keyof Code, keyof Types>
type None<T> = [T] extends [never] ? true : T

const checks: [
  None<Untyped<typeof root, typeof rootTypes>>,
  None<Untyped<typeof net, typeof netTypes>>,
  None<Untyped<typeof shared, typeof sharedTypes>>,
  None<Untyped<typeof v5, typeof v5Types>>,
  None<Untyped<typeof zeromq, typeof zeromqTypes>>
] = [true, true, true, true, true]

void checks
