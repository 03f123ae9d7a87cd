'use strict'

const { args, api, ready } = require('./program')

const server = api.createServer({ noDelay: true }, socket => {
  socket.on('data', chunk => socket.write(chunk))
})
server.listen(args.listen, () => ready(server.address()))
