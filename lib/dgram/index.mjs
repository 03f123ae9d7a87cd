import dgram from './index.js'

export const { Socket, createSocket } = dgram
export default dgram
