import { getSearchParameter, type SearchRequest } from '@medplum/core'
import type { SearchParameter } from '@salus/consent'
import { equal, fromUtf8 } from '@salus/core'
import type { CustodyStore } from './custody/custody-store.ts'
import type { VersionRow } from './custody/rows.ts'
import { type LooseResource, matchesSearch, parseSearch, queryTokens, typeToken } from './fhir/index.ts'
import { type TokenIndex, tokenOf } from './index/token-index.ts'
import type { OwnerKeys } from './owner-keys.ts'
import type { OpenedVersion, RecordReader } from './record-reader.ts'

/** A query for every current version of an owner. */
export const EVERYTHING = '*'

export interface PatientSearchParts {
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly keys: OwnerKeys
  readonly reader: RecordReader
}

/**
 * FHIR search inside one owner's records. Keyed tokens find candidates; every candidate is opened and compared with
 * the whole query, so neither a token's collision nor a mistake in the index can show a record.
 */
export class PatientSearch {
  readonly #parts: PatientSearchParts

  constructor(parts: PatientSearchParts) {
    this.#parts = parts
  }

  /** Rows of matching current versions, in order of arrival, and what the parameters read. Throws AppError `SEARCH`. */
  async find(
    owner: Uint8Array,
    query: string,
  ): Promise<{ readonly rows: readonly VersionRow[]; readonly parameters: readonly SearchParameter[] }> {
    if (query === EVERYTHING)
      return {
        rows: this.#parts.custody.currentVersions(owner, { after: 0, limit: 1_000_000 }),
        parameters: [],
      }
    const request = parseSearch(query)
    const hits = await this.matches(owner, request)
    return { rows: hits.map(({ row }) => row), parameters: parametersOf(request) }
  }

  /** Matching current versions, opened. */
  async matches(owner: Uint8Array, request: SearchRequest): Promise<OpenedVersion[]> {
    const { reader } = this.#parts
    const hits: OpenedVersion[] = []
    for (const row of this.#candidates(owner, request)) {
      if (reader.labels(row).type !== request.resourceType) continue
      const opened = await reader.open(row)
      const resource = JSON.parse(fromUtf8(opened.json)) as LooseResource
      if (matchesSearch(resource, request)) hits.push(opened)
    }
    return hits
  }

  #candidates(owner: Uint8Array, request: SearchRequest): VersionRow[] {
    const { index, keys, custody } = this.#parts
    const indexKey = keys.indexKey(owner)
    const key = (inputs: readonly string[]) => inputs.map((input) => tokenOf(indexKey, input))
    const wanted = [key([typeToken(request.resourceType)])]
    for (const filter of request.filters ?? [])
      for (const any of queryTokens(request.resourceType, filter) ?? []) wanted.push(key(any))
    return index.find(wanted).flatMap((seq) => {
      const row = custody.versionBySeq(seq)
      return row?.current && equal(row.owner, owner) ? [row] : []
    })
  }
}

/** The element paths that each filter of a search reads; the decision holds them against scope and masks. */
export function parametersOf(request: SearchRequest): SearchParameter[] {
  return (request.filters ?? []).map((filter) => {
    const parameter = getSearchParameter(request.resourceType, filter.code)
    const paths = (parameter?.expression ?? `${request.resourceType}.${filter.code}`)
      .split('|')
      .map((path) => path.trim().replace(/^\(+/, ''))
      .filter((path) => path.startsWith(`${request.resourceType}.`) || /^(Domain)?Resource\./.test(path))
      .map((path) => path.replace(/^DomainResource\./, 'Resource.').replace(/[^A-Za-z.[\]].*$/, ''))
    return { name: filter.code, paths: paths.length > 0 ? paths : [`${request.resourceType}.${filter.code}`] }
  })
}
