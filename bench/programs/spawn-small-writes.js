'use strict'

const { api } = require('./program')
const { measureEchoes } = require('./echoes')

const child = api.spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
measureEchoes(child.stdin, child.stdout)
