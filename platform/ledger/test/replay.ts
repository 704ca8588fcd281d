import { readFileSync } from 'node:fs'
import { fromHex, toHex } from '@salus/core'
import { decodeBlock, decodeBundle, Ledger, memoryStore, verifiedBy, verifyBundle } from '../src/index.ts'
import { withoutAmbient } from '../testing/no-ambient.ts'
import type { ReplayVector } from './replay-scenario.ts'

// Executes the blocks of a vector file and prints one block leaf per line, genesis first.

const vector = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as ReplayVector
const genesis = fromHex(vector.genesis)
const lines = withoutAmbient(() => {
  const ledger = Ledger.open({ store: memoryStore(), contracts: [], genesis })
  const leaves = [ledger.outcome(0)?.leafBytes as Uint8Array]
  for (const text of vector.blocks) {
    const block = decodeBlock(fromHex(text.block))
    const answers = block.bundles.map((wire) => verifyBundle(wire, sponsorKey(ledger, wire)))
    leaves.push(ledger.execute(block, verifiedBy(answers)).leafBytes)
  }
  return leaves.map(toHex)
})
process.stdout.write(`${lines.join('\n')}\n`)

function sponsorKey(ledger: Ledger, wire: Uint8Array): Uint8Array | undefined {
  try {
    return ledger.sponsorKey(decodeBundle(wire).sponsor)
  } catch {
    return undefined
  }
}
