import { rmSync } from 'node:fs'
import { sha256, signingKey, utf8 } from '@salus/core'
import { systemDisk } from '@salus/host/system'
import { decodeBlock, Ledger, log, logIdOf, stateKey } from '@salus/ledger'
import { openLmdbStore, readLmdbStore } from '@salus/ledger/lmdb'
import { factLogOrigin, TileLog } from '@salus/log'
import { LAYOUT } from '../src/audit/layout.ts'
import { CONTRACTS } from '../src/contracts.ts'

const key = signingKey(sha256(utf8('directory/log')))

/** Bytes that the newest state of a ledger consists of: what a tamperer would look for. */
export function ledgerBytes(path: string): { row: Uint8Array; page: Uint8Array; block: Uint8Array } {
  const store = readLmdbStore(path)
  try {
    const chainId = store.chainId ?? new Uint8Array()
    const rowKey = stateKey(log.name, 'logs', [logIdOf('st-anna', factLogOrigin(chainId, 'st-anna'))])
    const height = store.height() ?? 0
    const rootPage = new Uint8Array(8)
    new DataView(rootPage.buffer).setBigUint64(0, BigInt(height))
    return {
      row: store.get(rowKey) ?? new Uint8Array(),
      page: store.node(rootPage) ?? new Uint8Array(),
      block: store.block(height) ?? new Uint8Array(),
    }
  } finally {
    store.close()
  }
}

/** The fact log as it was when it had `size` leaves: signed then, and sound in itself. */
export async function olderLog(folder: string, chainId: Uint8Array, size: number): Promise<void> {
  const options = logOptions(folder, chainId)
  const whole = await TileLog.open(options)
  const leaves: Uint8Array[] = []
  for await (const leaf of whole.leaves(0, size)) leaves.push(leaf)
  await whole.close()
  await replaceLog(options, leaves)
}

/** Another history under the same key. */
export async function rewrittenLog(folder: string, chainId: Uint8Array, size: number): Promise<void> {
  const leaves = Array.from({ length: size }, (_, i) => sha256(utf8(`another fact ${i}`)))
  await replaceLog(logOptions(folder, chainId), leaves)
}

const logOptions = (folder: string, chainId: Uint8Array) => ({
  disk: systemDisk(folder),
  path: LAYOUT.log,
  origin: factLogOrigin(chainId, 'st-anna'),
  key,
})

async function replaceLog(
  options: ReturnType<typeof logOptions>,
  leaves: readonly Uint8Array[],
): Promise<void> {
  await options.disk.remove(LAYOUT.log)
  const older = await TileLog.open(options)
  await older.appendMany(leaves)
  await older.close()
}

/** The ledger's store as it was at a height. */
export function rolledBackLedger(path: string, height: number): void {
  const whole = readLmdbStore(path)
  const genesis = whole.block(0) ?? new Uint8Array()
  const chainId = whole.chainId ?? new Uint8Array()
  const blocks = Array.from({ length: height }, (_, i) => whole.block(i + 1) ?? new Uint8Array())
  whole.close()
  rmSync(path, { recursive: true })
  const store = openLmdbStore({ path, chainId })
  const ledger = Ledger.open({ store, contracts: CONTRACTS, genesis })
  for (const bytes of blocks) ledger.execute(decodeBlock(bytes), () => true)
  store.close()
}
