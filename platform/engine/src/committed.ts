import type { Ledger } from '@salus/ledger'
import type { CommittedBlock } from './engine.ts'

/** A block of the ledger's store, from height 1 on; undefined above the head. */
export function committedAt(ledger: Ledger, height: number): CommittedBlock | undefined {
  if (!Number.isSafeInteger(height) || height < 1 || height > ledger.head.height) return undefined
  const bytes = ledger.block(height)
  const outcome = ledger.outcome(height)
  if (!bytes || !outcome) return undefined
  return { height, timeMs: outcome.leaf.timeMs, bytes, outcome }
}
