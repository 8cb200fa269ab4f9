/** Where tunnels of the benchmark lead: silent, until it is told `send BYTES\n`. Arguments: port. */
import { createServer } from 'node:net'

const chunk = Buffer.alloc(65_536, 'x')

createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', (data: Buffer) => {
    let left = Number(/^send (\d+)\n$/.exec(data.toString('latin1'))?.[1] ?? 0)
    const send = () => {
      while (left > 0) {
        const part = chunk.subarray(0, Math.min(left, chunk.length))
        left -= part.length
        if (!socket.write(part)) return void socket.once('drain', send)
      }
    }
    send()
  })
}).listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 })
