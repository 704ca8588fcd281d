import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex } from '@salus/core'
import { afterAll, expect, test } from 'vitest'
import { openLmdbStore } from '../lmdb/index.ts'
import { decodeBlock, decodeBundle, Ledger, verifiedBy, verifyBundle } from '../src/index.ts'
import type { ReplayVector } from './replay-scenario.ts'

const path = mkdtempSync(join(tmpdir(), 'ledger-'))
afterAll(() => rmSync(path, { recursive: true, force: true }))

const file = new URL('../../../vectors/ledger-replay.json', import.meta.url)
const vector = JSON.parse(readFileSync(file, 'utf8')) as ReplayVector

test('the pinned blocks lead to the same leaves on LMDB, closed and opened again before every block', () => {
  const genesis = fromHex(vector.genesis)
  const open = () => {
    const store = openLmdbStore({ path, chainId: fromHex(vector.chainId) })
    return { store, ledger: Ledger.open({ store, contracts: [], genesis }) }
  }
  const leaves = vector.blocks.map((pinned) => {
    const { store, ledger } = open()
    const block = decodeBlock(fromHex(pinned.block))
    const keyOf = (wire: Uint8Array) => {
      try {
        return ledger.sponsorKey(decodeBundle(wire).sponsor)
      } catch {
        return undefined
      }
    }
    const answers = block.bundles.map((wire) => verifyBundle(wire, keyOf(wire)))
    const { leafBytes } = ledger.execute(block, verifiedBy(answers))
    store.close()
    return toHex(leafBytes)
  })
  expect(leaves).toEqual(vector.blocks.map(({ leaf }) => leaf))
  const { store, ledger } = open()
  expect(ledger.head.height).toBe(vector.blocks.length)
  store.close()
})
