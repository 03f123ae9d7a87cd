// What the code exports and the types do not name: nothing. The other way round is checked where the code exports it, and
// `__test__/package.test.js` compares the names once more, also where the compiler sees `any` (as in `interproc/zeromq`,
// whose socket classes get their methods at run time).

import type * as rootTypes from '../../index.d.ts'
import type * as childProcessTypes from '../../types/child_process.d.ts'
import type * as dgramTypes from '../../types/dgram.d.ts'
import type * as locksTypes from '../../types/locks.d.ts'
import type * as mapTypes from '../../types/map.d.ts'
import type * as netTypes from '../../types/net.d.ts'
import type * as queueTypes from '../../types/queue.d.ts'
import type * as sharedTypes from '../../types/shared.d.ts'
import type * as topicTypes from '../../types/topic.d.ts'
import type * as v5Types from '../../types/zeromq/v5-compat.d.ts'
import root = require('../../lib/index.js')
import childProcess = require('../../lib/child_process/index.js')
import dgram = require('../../lib/dgram/index.js')
import locks = require('../../lib/locks/index.js')
import map = require('../../lib/map/index.js')
import net = require('../../lib/net/index.js')
import queue = require('../../lib/queue/index.js')
import shared = require('../../lib/shared/index.js')
import topic = require('../../lib/topic/index.js')
import v5 = require('../../lib/zeromq/v5-compat/index.js')

type Untyped<Code, Types> = Exclude<keyof Code, keyof Types>
type None<T> = [T] extends [never] ? true : T

const checks: [
  None<Untyped<typeof root, typeof rootTypes>>,
  None<Untyped<typeof childProcess, typeof childProcessTypes>>,
  None<Untyped<typeof dgram, typeof dgramTypes>>,
  None<Untyped<typeof locks, typeof locksTypes>>,
  None<Untyped<typeof map, typeof mapTypes>>,
  None<Untyped<typeof net, typeof netTypes>>,
  None<Untyped<typeof queue, typeof queueTypes>>,
  None<Untyped<typeof shared, typeof sharedTypes>>,
  None<Untyped<typeof topic, typeof topicTypes>>,
  None<Untyped<typeof v5, typeof v5Types>>
] = [true, true, true, true, true, true, true, true, true, true]

void checks
