import { createServer } from 'node:http'

// The reference of a node's start and memory: a process that answers `/ready` and does nothing else.
const server = createServer((_, response) => {
  response.end('{}')
})
server.listen(Number(process.argv[2]), '127.0.0.1')
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
