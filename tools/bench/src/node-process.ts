import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SalusNode, systemHost } from '@salus/node'

/** What the measuring process asks for, and what it is told. */
export type NodeQuestion = 'admin' | 'memory' | 'stop'
export type NodeAnswer =
  | { readonly kind: 'admin'; readonly token: string }
  | { readonly kind: 'memory'; readonly rssBytes: number; readonly peakBytes: number }

// A node in a process of its own, over a directory: `node node-process.ts <network directory> <org> <port>`.
const [dir = '', org = '', port = '0'] = process.argv.slice(2)
const host = await systemHost({
  dataDir: join(dir, org),
  root: { kind: 'file', path: join(`${dir}-keys`, `${org}.root`) },
})
const node = await SalusNode.open({
  config: { org, genesis: readFileSync(join(dir, 'genesis.cbor')), address: '127.0.0.1', port: Number(port) },
  host,
  onBug: (error) => process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
})
const answer = (message: NodeAnswer): void => void process.send?.(message)
process.on('message', (question: NodeQuestion) => {
  if (question === 'admin')
    answer({ kind: 'admin', token: node.identity.staff.addFirstAdmin('Administrator', 3_600_000).token })
  else if (question === 'memory')
    answer({
      kind: 'memory',
      rssBytes: process.memoryUsage.rss(),
      peakBytes: process.resourceUsage().maxRSS * 1024,
    })
  else
    void node
      .close()
      .then(() => host.close())
      .then(() => process.disconnect())
})
