import { readFileSync } from 'node:fs'
import { SalusNode, systemHost } from '@salus/node'

/** Runs one node until it is killed: `node node-child.ts DATA_DIR ROOT_FILE GENESIS_FILE ORG PORT`; says `ready`. */
const [dataDir = '', rootFile = '', genesisFile = '', org = '', port = ''] = process.argv.slice(2)
const host = await systemHost({ dataDir, root: { kind: 'file', path: rootFile } })
try {
  await SalusNode.open({
    config: {
      org,
      genesis: readFileSync(genesisFile),
      address: '127.0.0.1',
      port: Number(port),
      url: `http://127.0.0.1:${port}`,
    },
    host,
    onBug: (error) => process.stdout.write(`bug ${String((error as Error).stack)}\n`),
  })
  process.stdout.write('ready\n')
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  process.stdout.write(`refused ${code ?? ''} ${message}\n`)
  process.exit(1)
}
