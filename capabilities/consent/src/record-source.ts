import type { Labels, SearchParameter } from './decision.ts'

/** One version in custody, as far as a decision needs it. */
export interface CustodyVersion {
  readonly oid: Uint8Array
  /** SHA-256 of the object; ciphertext is fetched by it from anywhere. */
  readonly address: Uint8Array
  readonly version: number
  readonly labels: Labels
}

/**
 * What consent needs from the records of this organisation. It decides nothing and logs nothing: consent asks it
 * about labels first, decides, logs, and only then opens.
 */
export interface RecordSource {
  /** The versions of `owner` among `oids`; others are left out, as if they did not exist. */
  byOids(owner: Uint8Array, oids: readonly Uint8Array[]): readonly CustodyVersion[]
  /** Current versions of an owner in order of arrival, from after `after`; for previews and whole charts. */
  current(
    owner: Uint8Array,
    page?: { readonly after?: Uint8Array; readonly limit?: number },
  ): readonly CustodyVersion[]
  /** Current versions of `owner` that match a FHIR search, and what its parameters read. */
  search(
    owner: Uint8Array,
    query: string,
  ): Promise<{
    readonly versions: readonly CustodyVersion[]
    readonly parameters: readonly SearchParameter[]
  }>
  /** The current version of `Type/id`: whose it is, and its labels; undefined when nothing of that name is here. */
  byRecordId(recordId: string): { readonly directory: boolean; readonly held: CustodyVersion } | undefined
  /** Opens a version: its data key and the stored JSON. Throws `OBJECT_ALTERED`, `OBJECT_MISSING`, `NOT_READABLE`. */
  open(oid: Uint8Array): Promise<{ readonly dek: Uint8Array; readonly json: Uint8Array }>
}
