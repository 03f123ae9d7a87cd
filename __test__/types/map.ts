// What a user may and may not write against `interproc/map`.

import { SharedCounter, SharedMap } from 'interproc'
import * as room from 'interproc/map'

const same: typeof room.SharedMap = SharedMap
const map = new SharedMap<number>('name', { capacity: 65536, ttl: 1000, evict: false })
const value: number | undefined = map.set('a', 1, { ttl: 0 }).get('a')
const added: boolean = map.setIfAbsent('b', 2)
map.update('a', old => old === undefined ? 1 : old + 1)
const sum: number = map.increment('a', 2)
for (const [key, number] of map) void [key.length, number.toFixed()]
map.forEach((number, key) => void [number.toFixed(), key.length])
void new SharedMap({ name: 'name' }).ticket.length

const counter = new SharedCounter('name')
const before: bigint = counter.add() + counter.sub(2n) + counter.compareExchange(0n, 1n)
counter.value = 5n
for (const { name, value } of SharedCounter.list()) void [name.length, value + 1n]

// @ts-expect-error keys are strings
map.get(1)
// @ts-expect-error the value may be missing
map.get('a').toFixed()
// @ts-expect-error a value of another type
map.set('a', 'text')
// @ts-expect-error there is no such option
void new SharedMap('name', { size: 1 })
// @ts-expect-error a name is needed
void new SharedCounter()
// @ts-expect-error counters are bigints
counter.add(1)

void [same, value, added, sum, before]
