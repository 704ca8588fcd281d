import {
  AppError,
  type CborValue,
  check,
  decode,
  equal,
  keyHashOf,
  type VerifierKey,
  valueHashOf,
  verifierKey,
  verifySparse,
} from '@salus/core'
import { type Genesis, governance, organisations, quorumOf } from '@salus/ledger'
import { cosignerKey } from './names.ts'
import type { ReceiptState } from './receipt.ts'

/** A key that an organisation's node signs logs with, and the heights at which it holds. */
interface HeldKey {
  readonly key: Uint8Array
  readonly from: number
  /** First height at which it no longer holds. */
  readonly to: number
}

interface Member {
  readonly active: boolean
  readonly keys: readonly HeldKey[]
}

/** Whom a verifier believes: members and witnesses from genesis on, and what blocks under their quorum changed. */
export interface Membership {
  readonly members: ReadonlyMap<string, Member>
  readonly witnesses: readonly VerifierKey[]
  /** The organisation that orders, under the embedded engine. */
  readonly operator: string | undefined
}

const FOREVER = Number.MAX_SAFE_INTEGER

export function genesisMembership({ members, witnesses, operator }: Genesis): Membership {
  return {
    members: new Map(
      members.map(({ org, log }) => [org, { active: true, keys: [{ key: log, from: 0, to: FOREVER }] }]),
    ),
    witnesses: witnesses.map(({ name, key }) => cosignerKey(name, key)),
    operator,
  }
}

/** Every log key an organisation is known to have had: its checkpoints may be older than its present key. */
export function logKeysOf(membership: Membership, org: string): Uint8Array[] {
  return membership.members.get(org)?.keys.map(({ key }) => key) ?? []
}

/** Witnesses of genesis whose key no member ever had: one that signs with a member's key is no outsider. */
export function outsiders({ members, witnesses }: Membership): VerifierKey[] {
  const own = [...members.values()].flatMap(({ keys }) => keys.map(({ key }) => key))
  return witnesses.filter(({ publicKey }) => !own.some((key) => equal(key, publicKey)))
}

export interface Cosigner {
  readonly org: string
  readonly keys: readonly VerifierKey[]
}

/** Active members with the cosigning keys they had at some height from `fromHeight` to `toHeight`. */
export function cosignersOf(membership: Membership, fromHeight: number, toHeight: number): Cosigner[] {
  return [...membership.members]
    .filter(([, { active }]) => active)
    .map(([org, { keys }]) => ({
      org,
      keys: keys
        .filter(({ from, to }) => from <= toHeight && to > fromHeight)
        .map(({ key }) => cosignerKey(org, key)),
    }))
}

/** `⌊2n/3⌋+1` of n active members, and whether a witness is needed besides (below four). Protocol §11. */
export function quorumRule(membership: Membership): {
  readonly quorum: number
  readonly needsWitness: boolean
  readonly count: number
} {
  const count = [...membership.members.values()].filter(({ active }) => active).length
  return { quorum: quorumOf(count), needsWitness: count < 4, count }
}

/** The block log's own key: the operator's, or under consensus any member's. */
export function blockLogKeys(membership: Membership, origin: string): VerifierKey[] {
  const orgs = membership.operator === undefined ? [...membership.members.keys()] : [membership.operator]
  return orgs.flatMap((org) => logKeysOf(membership, org)).map((key) => verifierKey(origin, key))
}

/**
 * The membership after rows that a block's state root proves: `governance/members` and `organisations/keys`.
 * @throws `AppError` MEMBERSHIP when a row is not under the root or is neither
 */
export function changedMembership(
  membership: Membership,
  rows: readonly ReceiptState[],
  block: { readonly height: number; readonly stateRoot: Uint8Array },
): Membership {
  const members = new Map(membership.members)
  for (const row of rows) {
    const { key, value } = row
    if (!isUnder(block.stateRoot, row))
      throw new AppError(
        'MEMBERSHIP',
        'a row of a membership change is not under the state root of its block',
      )
    const [contract, table, org, ...rest] = parts(key)
    if (typeof org !== 'string' || rest.length > 0) throw unknownRow()
    const before = members.get(org) ?? { active: false, keys: [] }
    if (contract === 'governance' && table === 'members') {
      const { state } = check(governance.tables.members.row, decode(value))
      members.set(org, { ...before, active: state === 'active' })
    } else if (contract === 'organisations' && table === 'keys') {
      const { keys, from, next, nextFrom = FOREVER } = check(organisations.tables.keys.row, decode(value))
      const now: HeldKey = { key: keys.log, from, to: next ? nextFrom : FOREVER }
      const later: HeldKey[] = next ? [{ key: next.log, from: nextFrom, to: FOREVER }] : []
      const earlier = before.keys
        .map((held) => ({ ...held, to: Math.min(held.to, from) }))
        .filter((held) => held.to > held.from)
      members.set(org, { ...before, keys: [...earlier, now, ...later] })
    } else throw unknownRow()
  }
  return { ...membership, members }
}

/** Whether the row stands under a state root. */
export function isUnder(stateRoot: Uint8Array, { key, value, siblings }: ReceiptState): boolean {
  const leaf = { keyHash: keyHashOf(key), valueHash: valueHashOf(value) }
  return verifySparse({ root: stateRoot, key, value, proof: { siblings, leaf } })
}

function parts(key: Uint8Array): readonly CborValue[] {
  const value = decode(key)
  if (!Array.isArray(value)) throw unknownRow()
  return value
}

function unknownRow(): AppError {
  return new AppError(
    'MEMBERSHIP',
    'a membership change holds a row that is neither governance/members nor organisations/keys',
  )
}
