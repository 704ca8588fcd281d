import type { CustodyVersion, Labels, RecordSource, SearchParameter } from '@salus/consent'
import { equal, SUITE, toHex } from '@salus/core'
import type { CustodyStore } from './custody/custody-store.ts'
import type { VersionRow } from './custody/rows.ts'
import { ridOf } from './owner-keys.ts'
import { unpackCode } from './packed-codes.ts'
import type { PatientSearch } from './patient-search.ts'
import type { RecordReader } from './record-reader.ts'

/** The organisation's records as consent sees them. */
export class CustodyRecordSource implements RecordSource {
  readonly #custody: CustodyStore
  readonly #reader: RecordReader
  readonly #search: PatientSearch
  readonly #ridKey: Uint8Array

  constructor(parts: {
    custody: CustodyStore
    reader: RecordReader
    search: PatientSearch
    ridKey: Uint8Array
  }) {
    this.#custody = parts.custody
    this.#reader = parts.reader
    this.#search = parts.search
    this.#ridKey = parts.ridKey
  }

  byOids(owner: Uint8Array, oids: readonly Uint8Array[]): CustodyVersion[] {
    return oids.flatMap((oid) => {
      const row = this.#custody.version(oid)
      return row === undefined || !equal(row.owner, owner) ? [] : this.#readable(row)
    })
  }

  current(
    owner: Uint8Array,
    { after, limit }: { after?: Uint8Array; limit?: number } = {},
  ): CustodyVersion[] {
    const seq = after === undefined ? 0 : (this.#custody.version(after)?.seq ?? 0)
    return this.#custody
      .currentVersions(owner, { after: seq, limit: limit ?? 1_000_000 })
      .flatMap((row) => this.#readable(row))
  }

  async search(
    owner: Uint8Array,
    query: string,
  ): Promise<{ versions: CustodyVersion[]; parameters: readonly SearchParameter[] }> {
    const { rows, parameters } = await this.#search.find(owner, query)
    return { versions: rows.flatMap((row) => this.#readable(row)), parameters }
  }

  byRecordId(recordId: string): { directory: boolean; held: CustodyVersion } | undefined {
    const row = this.#custody.versionByRid(ridOf(this.#ridKey, recordId))
    if (row?.custodyWrap === undefined) return undefined
    return { directory: this.#custody.owner(row.owner)?.kind === 'directory', held: this.#held(row) }
  }

  async open(oid: Uint8Array): Promise<{ dek: Uint8Array; json: Uint8Array }> {
    const row = this.#custody.version(oid)
    if (row === undefined) throw new Error('open: the caller names a version that it was given')
    const key = await this.#reader.dataKey(row)
    const { json } = await this.#reader.open(row, key)
    return { dek: key.dek, json }
  }

  /** What only its owner can read is not this organisation's to release; a deletion says nothing to anybody else. */
  #readable(row: VersionRow): CustodyVersion[] {
    if (row.custodyWrap === undefined || this.#reader.labels(row).deleted === true) return []
    return [this.#held(row)]
  }

  #held(row: VersionRow): CustodyVersion {
    const labels = this.#reader.labels(row)
    return {
      oid: row.oid,
      address: row.address,
      version: row.version,
      labels: {
        recordId: labels.recordId,
        type: labels.type,
        compartment: labels.compartment,
        codes: labels.codes.map(unpackCode),
        dates:
          labels.fromMs === undefined || labels.toMs === undefined
            ? undefined
            : { startMs: labels.fromMs, endMs: labels.toMs },
        owner: toHex(row.owner),
        restricted: row.state === 'restricted',
        suite: SUITE,
      } satisfies Labels,
    }
  }
}
