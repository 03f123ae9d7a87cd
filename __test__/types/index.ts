// What a user may and may not write against the root of the package.

import * as interproc from 'interproc'

const version: string = interproc.version

// @ts-expect-error the version is a string
const number: number = interproc.version

// @ts-expect-error there is no such export
void interproc.nothing

void [version, number]
