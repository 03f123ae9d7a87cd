'use strict'

const { parseArgs } = require('node:util')

const usage = `npm run bench [-- OPTIONS]

  --only PATTERN     rows whose id contains PATTERN (a regular expression), e.g. zmq or 'echo|bulk'
  --rounds N         measurements of each side, in turn; medians are compared (9)
  --seconds N        time of one measurement, after a warm-up of half of it (0.5)
  --gigabytes N      what the child of spawn.pipe-read prints (4)
  --json FILE        write the result there as well
  --list             print the rows and stop
  --self             the peer on both sides: shows how far apart two equal sides are measured here
  --no-build         measure the addon that is there`

/** Reads the command line. Throws a TypeError with the usage for what it does not know. */
function readOptions (argv) {
  const { values } = parse(argv)
  if (values.help) return { help: true }
  return {
    only: new RegExp(values.only),
    rounds: positive('rounds', values.rounds, Number.isInteger),
    seconds: positive('seconds', values.seconds),
    gigabytes: positive('gigabytes', values.gigabytes),
    json: values.json,
    list: values.list,
    self: values.self,
    build: !values['no-build']
  }
}

function parse (argv) {
  try {
    return parseArgs({
      args: argv,
      options: {
        only: { type: 'string', default: '' },
        rounds: { type: 'string', default: '9' },
        seconds: { type: 'string', default: '0.5' },
        gigabytes: { type: 'string', default: '4' },
        json: { type: 'string' },
        list: { type: 'boolean', default: false },
        self: { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
  } catch (error) {
    throw new TypeError(`${error.message}\n\n${usage}`)
  }
}

function positive (name, text, also = () => true) {
  const number = Number(text)
  if (!(number > 0) || !also(number)) throw new TypeError(`--${name} ${text}: not a number that can be used\n\n${usage}`)
  return number
}

module.exports = { readOptions, usage }
