import { AppError, type VerifierKey, verifierKey } from '@salus/core'
import { governance, type Ledger, organisations, quorumOf } from '@salus/ledger'
import { blockLogOrigin, cosignerKey, type Sufficient } from '@salus/log'

/** Active members at the head. */
function activeMembers(ledger: Ledger): string[] {
  const members: string[] = []
  for (const [[org], { state }] of ledger.tables(governance).members.scan([]))
    if (state === 'active') members.push(org)
  return members
}

/** Who may cosign the block log at the head: every active organisation and every witness of genesis. */
export function cosignerKeys(ledger: Ledger): VerifierKey[] {
  const { keys } = ledger.tables(organisations)
  const own = activeMembers(ledger).flatMap((org) => {
    const row = keys.get([org])
    return row ? [row.keys, ...(row.next ? [row.next] : [])].map(({ log }) => cosignerKey(org, log)) : []
  })
  return [...own, ...ledger.genesis.witnesses.map(({ name, key }) => cosignerKey(name, key))]
}

/** `⌊2n/3⌋+1` of the active organisations, and below four of them a witness besides, where genesis names one (protocol §11). */
export function sufficientFor(ledger: Ledger): Sufficient {
  return (names) => {
    const members = activeMembers(ledger)
    const signed = members.filter((org) => names.includes(org)).length
    if (signed < quorumOf(members.length)) return false
    const { witnesses } = ledger.genesis
    return members.length >= 4 || witnesses.length === 0 || witnesses.some(({ name }) => names.includes(name))
  }
}

/** The key that signs the embedded engine's block log at the head. */
export function operatorKey(ledger: Ledger): VerifierKey {
  const { operator } = ledger.genesis
  const row = operator === undefined ? undefined : ledger.get(organisations, 'keys', [operator])
  if (!row) throw new AppError('ENGINE', 'genesis: names no operator; this network has another engine')
  return verifierKey(blockLogOrigin(ledger.chainId), row.keys.log)
}
