import type { Purpose } from '@salus/consent'
import type { Actor } from '@salus/server'
import type { OwnerRow } from '../custody/rows.ts'
import type { ResourceCompartment } from '../fhir/index.ts'
import type { SealedLabels } from '../sealed-labels.ts'

/** What a request does, in rising order of what it is told as in the log. */
export const RECORD_ACTIONS = ['read', 'search', 'create', 'update', 'delete'] as const
export type RecordAction = (typeof RECORD_ACTIONS)[number]

/** Who asks and what for, as the server established it; never from parameters (protocol §14, confused deputy). */
export interface RequestContext {
  readonly actor: Actor
  readonly purpose: Purpose
  /** Opaque, 16 B. */
  readonly requestId: Uint8Array
}

/** One question to the policy. Without `labels`: whether anything of the owner may be asked for at all. */
export interface AccessQuestion extends RequestContext {
  readonly action: 'read' | 'write'
  readonly owner: OwnerRow
  readonly labels?: Pick<SealedLabels, 'type' | 'compartment'>
}

export type AccessPolicy = (question: AccessQuestion) => boolean

/** One event for the log: everything that a request did with one owner's record. */
export interface RecordAccess extends RequestContext {
  readonly owner: Uint8Array
  readonly action: RecordAction
  readonly outcome: 'permitted' | 'denied'
  readonly versions: readonly {
    readonly oid: Uint8Array
    readonly recordId: string
    readonly version: number
  }[]
  /** Searches as asked, where the request searched. */
  readonly queries: readonly string[]
}

const CARE: ReadonlySet<Purpose> = new Set<Purpose>(['TREAT', 'CAREMGT', 'HPAYMT', 'HOPERAT', 'PUBHLTH'])

/**
 * Who sees and writes what inside one organisation. A custodian reads what it wrote (protocol §1); its own rules are:
 * - directory: all staff and all holders read, stewards and clinicians write;
 * - what concerns several patients: clinicians;
 * - a patient's record: clinicians, for care and what belongs to it; administrators never;
 * - holders: their own record, reading only; a delegate what her mandate names.
 * What a patient made on her device is never here: the organisation cannot open it.
 */
export function organisationPolicy(
  delegated: (delegation: Uint8Array) => ReadonlySet<ResourceCompartment> | undefined,
): AccessPolicy {
  return ({ actor, purpose, action, owner, labels }) => {
    if (owner.status === 'restricted' || owner.status === 'erased') return false
    if (actor.kind === 'holder') {
      if (action !== 'read') return false
      if (owner.kind === 'directory') return true
      if (owner.kind !== 'patient' || owner.owner.join() !== actor.owner.join()) return false
      if (actor.delegation === undefined) return true
      const scope = delegated(actor.delegation)
      return scope !== undefined && (labels === undefined || scope.has(labels.compartment))
    }
    const isClinician = actor.roles.includes('clinician')
    if (owner.kind === 'directory') return action === 'read' || isClinician || actor.roles.includes('steward')
    return isClinician && CARE.has(purpose)
  }
}
