import { equal, sha256 } from '@salus/core'

/** Id of a ledger object: the first 16 bytes of `H(key or commitment)`, so nobody can squat it. Protocol §4, §11. */
export function ledgerIdOf(source: Uint8Array): Uint8Array {
  return sha256(source).slice(0, 16)
}

export function isLedgerIdOf(id: Uint8Array, source: Uint8Array): boolean {
  return equal(id, ledgerIdOf(source))
}

export const HOUR_MS = 3_600_000

/** `na`: the end of terms, rounded up to the hour, so that the ledger does not show the exact end. Protocol §4. */
export function roundUpToHour(timeMs: number): number {
  return Math.ceil(timeMs / HOUR_MS) * HOUR_MS
}
