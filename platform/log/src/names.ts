import {
  AppError,
  type CborValue,
  hmac,
  NOTE_COSIGNATURE,
  toHex,
  tuple,
  type VerifierKey,
  verifierKey,
} from '@salus/core'
import { quorumOf } from '@salus/ledger'

/** Origin of a network's block log: the same at every node, so that cosignatures of one checkpoint fit together. */
export function blockLogOrigin(chainId: Uint8Array): string {
  return `salus/${toHex(chainId)}/blocks`
}

/** Origin of an organisation's fact log by custom. */
export function factLogOrigin(chainId: Uint8Array, org: string): string {
  return `salus/${toHex(chainId)}/${org}`
}

/** The key under which an organisation cosigns: its log key, under its id. */
export function cosignerKey(org: string, logKey: Uint8Array): VerifierKey {
  return verifierKey(org, logKey, NOTE_COSIGNATURE)
}

/**
 * The rule of protocol §11 for `TileLogOptions.sufficient`: `⌊2n/3⌋+1` of the organisations, and below four of them
 * also one witness. Both lists are asked for anew each time, since membership changes.
 */
export function quorumAndWitness(
  organisations: () => readonly string[],
  witnesses: () => readonly string[],
): (names: readonly string[]) => boolean {
  return (names) => {
    const orgs = organisations()
    const signed = orgs.filter((org) => names.includes(org)).length
    if (signed < quorumOf(orgs.length)) return false
    return orgs.length >= 4 || witnesses().some((witness) => names.includes(witness))
  }
}

/** Kinds of facts that the platform knows; capabilities register further ones. Protocol, Forms. */
export const FACT_KINDS = { recordVersion: 1, auditEvent: 2, keyringVersion: 3, tombstone: 4 } as const

/**
 * The leaf of a fact: `HMAC(salt, (kind, …fields))`, 32 B; of a tombstone in clear, `tuple(4, oid)`. Protocol, Forms.
 * @param salt 32 random bytes, kept where they can be deleted; absent for a tombstone only
 */
export function factLeaf(
  kind: number,
  fields: readonly CborValue[],
  salt: Uint8Array | undefined,
): Uint8Array {
  if (kind === FACT_KINDS.tombstone && salt === undefined) return tuple(kind, ...fields)
  if (kind === FACT_KINDS.tombstone || salt?.length !== 32)
    throw new AppError('FACT', 'salt: a fact needs 32 bytes of salt, a tombstone (kind 4) has none', { kind })
  return hmac(salt, kind, ...fields)
}
