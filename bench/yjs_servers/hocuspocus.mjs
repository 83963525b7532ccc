// Hocuspocus as its documentation starts it, without extensions: nothing is signed or kept.
import { Server } from '@hocuspocus/server'

const server = new Server({ address: '127.0.0.1', port: Number(process.env.PORT), quiet: true })
await server.listen()
console.log('running')
