import type { LedgerDelegation } from './delegation.ts'
import type { LedgerGrant } from './terms-link.ts'
import type { Action, Compartment } from './vocabulary.ts'

/** What travels with a grant and sits at the custodian: terms, salt, link signature. Encoded, as committed. */
export interface CarriedTerms {
  readonly terms: Uint8Array
  readonly salt: Uint8Array
  readonly link: { readonly key: Uint8Array; readonly sig: Uint8Array }
}

/** A link key registered at the custodian. A delegate's own link key names the delegation it belongs to. */
export interface RegisteredLink {
  readonly key: Uint8Array
  /** The owner's name inside the custodian's house; opaque. */
  readonly owner: string
  readonly d?: Uint8Array
}

export type LogState = 'open' | 'suspect' | 'forked' | 'succeeded'

/** What the checked head says, and the little the custodian knows beside it. Everything is given; nothing is read. */
export interface DecisionState {
  readonly chainId: Uint8Array
  /** The organisation that decides. */
  readonly custodian: string
  readonly clockMs: number
  readonly head: { readonly height: number; readonly timeMs: number }
  /** The grant as final at the head. */
  readonly grant?: LedgerGrant | undefined
  /** A validly signed `revoke` was seen, final or not. */
  readonly revokedOnSight: boolean
  readonly links: readonly RegisteredLink[]
  /** Status of the credential that the request names. */
  readonly credential?:
    | { readonly issuer: string; readonly status: 'active' | 'suspended' | 'ended' }
    | undefined
  /** The delegation that the terms name. */
  readonly delegation?: LedgerDelegation | undefined
  /** The worse of the custodian's and the grantee's log. */
  readonly log: LogState
  readonly params: {
    readonly readFloor: number
    readonly freshnessTreatmentMs: number
    readonly freshnessOtherMs: number
  }
  /** What this grant used, not counting this request. */
  readonly usage: {
    readonly requestsLastHour: number
    readonly versionsLastHour: number
    readonly lastSeq: number
    /** `H` of the request before; zeros before the first. */
    readonly lastRequest: Uint8Array
  }
  /** For a search: what each parameter it evaluates reads. */
  readonly search?: readonly SearchParameter[]
}

/** A search parameter as evaluated: the element paths it reads, chained ones included, `Type.element.…`. */
export interface SearchParameter {
  readonly name: string
  readonly paths: readonly string[]
}

/** What a custodian knows of a version without opening it. */
export interface Labels {
  readonly recordId: string
  readonly type: string
  readonly compartment: Compartment
  /** Every code inside, contained and copied ones too. */
  readonly codes: readonly { readonly system: string; readonly code: string }[]
  /** When what it tells of happened, ms UTC, both ends included; absent where it does not say. */
  readonly dates?: { readonly startMs: number; readonly endMs: number } | undefined
  /** The patient's name inside the custodian's house; undefined for what belongs to the organisation. */
  readonly owner?: string | undefined
  /** Erased for care, kept for the law. Protocol §7. */
  readonly restricted: boolean
  readonly suite: number
}

/** Why not. Stable; the grantee is never told which (no oracle), the patient's list and the custodian's log are. */
export const REASONS = [
  'TERMS_UNREADABLE',
  'TEXT_MISMATCH',
  'NO_GRANT',
  'REVOKED',
  'EXPIRED',
  'NOT_YET',
  'COMMITMENT',
  'LINK',
  'WRONG_GRANT',
  'WRONG_CUSTODIAN',
  'WRONG_GRANTEE',
  'WRONG_UNIT',
  'WRONG_PRACTITIONER',
  'CREDENTIAL',
  'PURPOSE',
  'ACTION',
  'MANDATE',
  'SUITE',
  'LEDGER_STALE',
  'LOG_DOUBT',
  'SEQUENCE',
  'REQUEST_TIME',
  'RATE',
  'SEARCH_PARAMETER',
  'NOT_HERS',
  'RESTRICTED',
  'COMPARTMENT',
  'TYPE',
  'CODE',
  'DATE',
  'RECORD',
  'CONDITION',
] as const
export type Reason = (typeof REASONS)[number]

/** What a permit demands of whoever acts on it. */
export interface Obligations {
  /** Elements to leave out, of contained resources too: any at all means views, never data keys. */
  readonly masks: readonly string[]
  /** Keys and plaintext are dropped at this time, ms UTC. */
  readonly leaseUntilMs: number
  /** At most this many versions in this request. */
  readonly maxVersions: number
  readonly showWithheld: boolean
  /** The release goes on although a log is in doubt: say so, in the AuditEvent and to the user. */
  readonly marked?: 'log-suspect' | 'log-forked'
}

export interface Decision {
  readonly permit: boolean
  /** In the order of `REASONS`; empty with a permit. */
  readonly reasons: readonly Reason[]
  /** Only with a permit. */
  readonly obligations?: Obligations
}

export type { Action }
