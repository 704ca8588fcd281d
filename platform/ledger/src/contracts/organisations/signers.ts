import { equal, type Infer } from '@salus/core'
import type { CallContext, View } from '../../runtime/define.ts'
import type { OrganisationKeys } from '../forms.ts'
import { governance } from '../governance/schema.ts'
import { organisations } from './schema.ts'

type KeysRow = Infer<(typeof organisations)['tables']['keys']['row']>
type Reader = Pick<View, 'tablesOf' | 'height'>
type Signed = Pick<CallContext, 'tablesOf' | 'height' | 'signers'>

/** The keys of a row that hold at a height. */
export function keysAt(row: KeysRow, height: number): OrganisationKeys {
  return row.next !== undefined && row.nextFrom !== undefined && row.nextFrom <= height ? row.next : row.keys
}

/** Public keys in force for an organisation, undefined if the ledger does not know it. */
export function keysOf(view: Reader, org: string): OrganisationKeys | undefined {
  const row = view.tablesOf(organisations).keys.get([org])
  return row === undefined ? undefined : keysAt(row, view.height)
}

export function isActiveMember(view: Reader, org: string): boolean {
  return view.tablesOf(governance).members.get([org])?.state === 'active'
}

/** Whether the sign key in force of `org`, an active member, is among the signers. */
export function memberSigned(context: Signed, org: string): boolean {
  const keys = keysOf(context, org)
  if (keys === undefined || !context.signers.some((key) => equal(key, keys.sign))) return false
  return isActiveMember(context, org)
}

/** The first active member whose sign key in force is among the signers. */
export function signingMember(context: Signed): string | undefined {
  const { signKeys } = context.tablesOf(organisations)
  for (const key of context.signers) {
    const owner = key.length === 32 ? signKeys.get([key])?.org : undefined
    if (owner !== undefined && memberSigned(context, owner)) return owner
  }
  return undefined
}

/** As `signingMember`, or the active member that registered a staff key among the signers. */
export function governingMember(context: Signed): string | undefined {
  const member = signingMember(context)
  if (member !== undefined) return member
  const { staffKeys } = context.tablesOf(organisations)
  for (const key of context.signers) {
    const staff = key.length === 33 ? staffKeys.get([key]) : undefined
    if (staff === undefined || (staff.to !== undefined && staff.to <= context.height)) continue
    if (isActiveMember(context, staff.org)) return staff.org
  }
  return undefined
}

/** How many yes votes pass a proposal, and how many cosignatures make a quorum: ⌊2n/3⌋+1 of n. */
export function quorumOf(memberCount: number): number {
  return (2 * memberCount - ((2 * memberCount) % 3)) / 3 + 1
}
