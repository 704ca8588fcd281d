import { type CborValue, decode, encode, gcmOpen, gcmSeal, type Random } from '@salus/core'
import type { ResourceCompartment } from './fhir/index.ts'

/**
 * What the decision and the owner's list need to know of a version without opening it. Kept sealed beside the wraps,
 * because a type and a code are health data.
 */
export interface SealedLabels {
  /** `Type/id`. */
  readonly recordId: string
  readonly version: number
  readonly type: string
  readonly compartment: ResourceCompartment
  /** Packed codings of the resource; see packed-codes.ts. */
  readonly codes: readonly string[]
  /** When what it tells of happened, ms UTC, both ends included. */
  readonly fromMs?: number
  readonly toMs?: number
  /** SHA-256 of the resource as it came, so that the same import twice changes nothing. */
  readonly source: Uint8Array
  /** SHA-256 of the stored JSON. */
  readonly digest: Uint8Array
  /** 32-byte salt of the log leaf; dies with this row's key. */
  readonly salt: Uint8Array
  /** The organisation that made the version, when it is not this one: filed copies and imported records. */
  readonly origin?: string
  /** Of a version with an origin: its object, and the salt and index of its leaf, there; for receipts and exports. */
  readonly originOid?: Uint8Array
  readonly originSalt?: Uint8Array
  readonly originLeaf?: number
  /** This version says that the record was deleted; its JSON is an empty resource. */
  readonly deleted?: true
}

/** Seals labels under the owner's custody key. `oid` is bound, so rows cannot be swapped. */
export function sealLabels(
  labels: SealedLabels,
  { key, oid, random }: { key: Uint8Array; oid: Uint8Array; random: Random },
): Uint8Array {
  return gcmSeal({ key, aad: oid, plaintext: encode(labels as unknown as CborValue), random })
}

/** Throws AppError `OPEN_FAILED` when the row was altered, moved, or its key is gone. */
export function openLabels(
  sealed: Uint8Array,
  { key, oid }: { key: Uint8Array; oid: Uint8Array },
): SealedLabels {
  // Only `sealLabels` makes what opens under this key.
  return decode(gcmOpen({ key, aad: oid, sealed })) as unknown as SealedLabels
}
