'use strict'

/** `npm run loom`: every lock-free type under every interleaving of a few threads (https://docs.rs/loom). */

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const args = ['test', '--release', '--no-default-features', '--lib', '--target-dir', 'target/loom', 'loom_', ...process.argv.slice(2)]
const env = { ...process.env, RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} --cfg interproc_loom`.trim() }
const { status } = spawnSync('cargo', args, { cwd: path.join(__dirname, '..'), env, stdio: 'inherit' })
process.exitCode = status ?? 1
