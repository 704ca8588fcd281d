import type { SealKeyPair, SigningKey } from '@salus/core'
import type { LogState } from '../decision.ts'
import type { Action, Purpose } from '../vocabulary.ts'

/** The ledger as this node executed it. Queries answer for the head. */
export interface ConsentLedger {
  readonly chainId: Uint8Array
  head(): { readonly height: number; readonly timeMs: number }
  query(contract: string, name: string, input: Readonly<Record<string, unknown>>): unknown
  /** A network parameter. */
  param(name: string): number
  /** Registered keys of a member; undefined for anybody else. */
  organisation(org: string): OrganisationKeysView | undefined
  /** State of an organisation's fact log on the ledger. */
  logState(org: string): LogState
}

export interface OrganisationKeysView {
  readonly org: string
  readonly name: string
  readonly url: string
  readonly sign: Uint8Array
  readonly seal: Uint8Array
  readonly log: Uint8Array
  readonly active: boolean
}

/** The organisation's own keys, as far as consent uses them. */
export interface ConsentKeys {
  readonly org: string
  readonly sign: SigningKey
  readonly seal: SealKeyPair
}

/** Something that happened, about to be logged. Becomes one FHIR AuditEvent and one leaf. */
export interface Access {
  /** Whose record; the organisation's own owner where no patient is known. 16 B. */
  readonly owner: Uint8Array
  readonly timeMs: number
  readonly kind:
    | 'release'
    | 'open'
    | 'read'
    | 'search'
    | 'write'
    | 'import'
    | 'export'
    | 'administer'
    | 'preview'
    | 'refusal'
    | 'revocation'
    | 'request'
    | 'emergency'
    | 'review'
  readonly outcome: 'permitted' | 'denied'
  readonly actor: {
    readonly org: string
    readonly unit?: string | undefined
    readonly practitioner?: string | undefined
    /** The patient herself or her delegate. */
    readonly holder?: 'owner' | 'delegate'
  }
  /** The organisation that holds what is opened. */
  readonly custodian: string
  readonly purpose: Purpose
  readonly action?: Action
  readonly g?: Uint8Array | undefined
  readonly requestHash?: Uint8Array
  readonly seq?: number
  readonly prev?: Uint8Array
  readonly versions: readonly {
    readonly oid: Uint8Array
    readonly recordId: string
    readonly version: number
    readonly viewHash?: Uint8Array
  }[]
  readonly query?: string
  /** For the patient and the custodian; the grantee never learns them. */
  readonly reasons?: readonly string[]
  readonly head: { readonly height: number; readonly ageMs: number }
  readonly note?: string
  readonly emergency?: { readonly b: Uint8Array; readonly reason: string; readonly requestHash: Uint8Array }
  /** Went ahead although the ledger stood still. */
  readonly degraded?: boolean
}

/** An access with its durable leaf and the proof that it is in the log. */
export interface LoggedAccess {
  readonly eventId: Uint8Array
  readonly event: Uint8Array
  readonly salt: Uint8Array
  readonly leafIndex: number
  readonly proof: readonly Uint8Array[]
  /** A signed checkpoint that covers the leaf. */
  readonly checkpoint: string
}

/** Resolves when the leaf is durable and integrated; whatever it allows happens after that. */
export interface AccessLog {
  record(access: Access): Promise<LoggedAccess>
}

/** Who acts for an owner at this organisation. */
export interface LinkRegistry {
  /** The owner of a registered link key, and the delegation it belongs to; undefined for unknown keys. */
  ownerOf(linkKey: Uint8Array): { readonly owner: Uint8Array; readonly delegation?: Uint8Array } | undefined
  /** The owner whom terms call `sub` here. */
  ownerOfSub(sub: Uint8Array): Uint8Array | undefined
  /** Where administrative and unattributable events go. */
  readonly organisationOwner: Uint8Array
}
