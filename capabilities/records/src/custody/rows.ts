/** What an owner is to this organisation (protocol §2, Owner). */
export type OwnerKind = 'patient' | 'directory' | 'organisation'

/**
 * Where an owner's account stands here. `unclaimed`: imported, nobody holds her keys. `self` and `hosted`: enrolled.
 * `restricted`: erased as far as the law allows; records are hidden from care until `retainUntilMs`.
 */
export type OwnerStatus = 'unclaimed' | 'self' | 'hosted' | 'restricted' | 'erased'

/** One owner of records. `rid` finds her by the record id of her Patient resource without showing it. */
export interface OwnerRow {
  /** 16 random bytes, meaningful at this organisation only. */
  readonly owner: Uint8Array
  readonly rid: Uint8Array
  readonly kind: OwnerKind
  readonly status: OwnerStatus
  readonly retainUntilMs: number | undefined
  /** Ed25519 key that she registered here, and the pairwise subject that terms name. */
  readonly linkKey: Uint8Array | undefined
  readonly sub: Uint8Array | undefined
  /** Her signed write card, as received. */
  readonly card: Uint8Array | undefined
}

/** `restricted` versions open only with a reason and a leaf of their own; `deleted` ones are gone. */
export type VersionState = 'live' | 'restricted'

/** One record version in custody. Nothing here tells a name, a code, a resource type or a clinical date. */
export interface VersionRow {
  /** Order of arrival, given by the store. */
  readonly seq: number
  readonly oid: Uint8Array
  readonly owner: Uint8Array
  /** Keyed token of `Type/id`. */
  readonly rid: Uint8Array
  readonly version: number
  /** SHA-256 of the object in the vault. */
  readonly address: Uint8Array
  readonly comp: Uint8Array
  readonly epoch: number
  readonly batch: Uint8Array | undefined
  readonly ownerWrap: Uint8Array | undefined
  /** Absent for what this organisation only stores: patient-made records. */
  readonly custodyWrap: Uint8Array | undefined
  /** Labels and leaf salt, sealed under the owner's custody key. */
  readonly sealed: Uint8Array
  readonly leafIndex: number
  readonly current: boolean
  readonly state: VersionState
}

export type NewVersionRow = Omit<VersionRow, 'seq' | 'state'>

/** One encapsulation to a compartment key, shared by the versions of an ingest batch. */
export interface BatchRow {
  readonly batch: Uint8Array
  readonly owner: Uint8Array
  readonly comp: Uint8Array
  readonly epoch: number
  readonly enc: Uint8Array
}
