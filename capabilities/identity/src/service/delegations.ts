import type { IdentityLedger } from './ports.ts'

/** End of a delegation, ms UTC, as the ledger rounds it; undefined unless it is active at the head and at `nowMs`. */
export function delegationEndMs(
  ledger: Pick<IdentityLedger, 'query'>,
  d: Uint8Array,
  nowMs: number,
): number | undefined {
  const row = ledger.query('consent', 'delegation', { d }) as
    | { readonly state: string; readonly na: number }
    | undefined
  return row?.state === 'active' && nowMs < row.na ? row.na : undefined
}
