import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server that gives everybody the same text: what the network and parsing alone take. */
export async function servePlain(
  text: string,
): Promise<{ fetchAll(): Promise<void>; close(): Promise<void> }> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    async fetchAll() {
      const response = await fetch(url)
      await response.json()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
