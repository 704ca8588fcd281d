import { createServer } from 'node:http'
import type { NodeAnswer, NodeQuestion } from './node-process.ts'

// The reference of a node's start and memory: a process that answers `/ready` and does nothing else.
const server = createServer((_, response) => {
  response.end('{}')
})
server.listen(Number(process.argv[2]), '127.0.0.1')
process.on('message', (question: NodeQuestion) => {
  if (question === 'stop') {
    server.close(() => process.disconnect())
    server.closeAllConnections()
  } else {
    const rssBytes = process.memoryUsage.rss()
    process.send?.({
      kind: 'memory',
      rssBytes,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    } satisfies NodeAnswer)
  }
})
