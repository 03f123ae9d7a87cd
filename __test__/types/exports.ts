// What the code exports and the types do not name: nothing. (The other way round is checked where the code exports it.)

import type * as rootTypes from '../../index.d.ts'
import root = require('../../lib/index.js')

type Untyped<Code, Types> = Exclude<keyof Code, keyof Types>
type None<T> = [T] extends [never] ? true : T

const checks: [
  None<Untyped<typeof root, typeof rootTypes>>
] = [true]

void checks
