import { connect } from 'node:tls'

/** What came back: undefined `decisionId` when Node's parser answered by itself. */
export type SocketAnswer = {
  readonly status: number | undefined
  readonly decisionId: string | undefined
}

const patienceMs = 15_000

/** Sends bytes as they are over a TLS connection of their own and waits for one whole answer. */
export const sendRaw = (port: number, ca: string, bytes: Buffer): Promise<SocketAnswer> =>
  new Promise((resolve) => {
    let text = ''
    const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' }, () =>
      socket.write(bytes),
    )
    const finish = () => {
      clearTimeout(timer)
      socket.destroy()
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
      resolve({
        status: status === undefined ? undefined : Number(status),
        decisionId: /\r\nx-sallyport-decision-id: (\w+)/i.exec(text)?.[1],
      })
    }
    const timer = setTimeout(finish, patienceMs)
    const isHead = bytes.subarray(0, 5).toString() === 'HEAD '
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (isWhole(text, isHead)) finish()
    })
    socket.on('end', finish)
    socket.on('error', finish)
  })

const isWhole = (text: string, isHead: boolean): boolean => {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const head = text.slice(0, end)
  if (isHead || /^HTTP\/1\.1 (?:204|304)/.test(head)) return true
  const body = text.slice(end + 4)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length !== undefined) return body.length >= Number(length)
  return /\r\ntransfer-encoding: chunked/i.test(head) && body.endsWith('0\r\n\r\n')
}
