#!/usr/bin/env node
'use strict'

/**
 * Runs the examples as real processes. `node scripts/examples.js` runs all that are in JavaScript, or those that are named, with
 * this runtime; others call `runExample` with the command line of another one. An example is good when all its programs, which check
 * what they get, end by themselves with code 0, and the last one printed at its end what it shows.
 */

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { createServer } = require('node:net')
const path = require('node:path')
const { createInterface } = require('node:readline')

const folder = path.join(__dirname, '..', 'examples')
const PATIENCE = 60_000 // ms in which an example must end

/**
 * The second program of an example starts when the first one says `listening`.
 *
 * @typedef {{ name: string, job: string, programs: string[], shows: string }} Example
 * @type {Example[]}
 */
const examples = [{
  name: 'child-pipes',
  job: 'Child pipes',
  programs: ['parent.js'],
  shows: '3 lines went to the child, and came back in capitals'
}, {
  name: 'tcp',
  job: 'TCP',
  programs: ['server.js', 'client.js'],
  shows: 'a question went to the server, and its answer came back'
}, {
  name: 'udp',
  job: 'UDP',
  programs: ['server.js', 'client.js'],
  shows: 'a datagram went to the server, and another came back'
}, {
  name: 'shared-buffer',
  job: 'Shared buffer',
  programs: ['parent.js'],
  shows: 'the worker wrote 21 bytes into the parent\'s buffer'
}, {
  name: 'rate-limit',
  job: 'Shared map',
  programs: ['parent.js'],
  shows: '100 of 150 requests came through, whichever worker they came to'
}, {
  name: 'queue',
  job: 'Message queue',
  programs: ['server.js', 'client.js'],
  shows: '5 jobs came through the queue, in order'
}, {
  name: 'topic',
  job: 'Topic',
  programs: ['parent.js'],
  shows: '100 prices went to each of 3 processes'
}]

/**
 * With a program in Rust, which uses the crate: it is built from these sources, so users of the package alone do not have it.
 * @type {Example[]}
 */
const rustExamples = [{
  name: 'rust-producer',
  job: 'Rust to Node',
  programs: ['consumer.js', 'main.rs'],
  shows: '5 readings went from Rust to Node, 21.5 °C on average'
}]

module.exports = { examples, rustExamples, runExample }

if (require.main === module) {
  main(process.argv.slice(2)).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
}

/** @param {string[]} names */
async function main (names) {
  const all = [...examples, ...rustExamples]
  const unknown = names.filter(name => !all.some(example => example.name === name))
  if (unknown.length > 0) throw new Error(`There is no example ${unknown.join(', ')}.`)
  for (const example of (names.length === 0 ? examples : all).filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.log(example.name)
    await runExample(example, { onLine: (program, line) => console.log(`  ${program}: ${line}`) })
  }
}

/**
 * @param {Example} example
 * @param {{ command?: string[], onLine?: (program: string, line: string) => void }} [options] `command`: the runtime and
 *   its flags, e.g. `['deno', 'run', '-A']`
 * @returns {Promise<void>}
 */
async function runExample ({ name, programs, shows }, { command = [process.execPath], onLine = () => {} } = {}) {
  const port = String(await freePort())
  const rust = programs.some(isRust) ? require('./rust-example').buildRustExample(name) : ''
  const running = []
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`examples/${name} did not end within ${PATIENCE / 1000} s`)), PATIENCE)
  })
  const ended = []
  try {
    for (const program of programs) {
      const args = isRust(program) ? [rust, port] : [...command, path.join(folder, name, program), port]
      const one = start(args, `examples/${name}/${program}`, line => onLine(program, line))
      running.push(one)
      ended.push(one.ended)
      await Promise.race([one.listening, one.ended, late])
    }
    await Promise.race([Promise.all(ended), late])
  } finally {
    clearTimeout(timer)
    for (const { child } of running) child.kill('SIGKILL')
  }
  const last = running.at(-1).lines.at(-1)
  if (last !== shows) throw new Error(`examples/${name} ended with "${last}" instead of "${shows}"`)
}

/** @param {string} program */
function isRust (program) {
  return program.endsWith('.rs')
}

/** `ended` resolves when the program ended well, and rejects with what it said when it did not. */
function start ([command, ...args], title, onLine) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = []
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => { errors += text })
  const ended = once(child, 'close').then(([code, signal]) => {
    if (code !== 0) throw new Error(`${title} ended with ${code ?? signal}\n${errors}`)
  })
  const listening = new Promise(resolve => {
    createInterface({ input: child.stdout }).on('line', line => {
      lines.push(line)
      onLine(line)
      if (line.startsWith('listening')) resolve()
    })
  })
  return { child, lines, listening, ended }
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
