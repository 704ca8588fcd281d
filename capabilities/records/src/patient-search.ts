import type { SearchRequest } from '@medplum/core'
import type { SearchParameter } from '@salus/consent'
import { equal, fromUtf8 } from '@salus/core'
import type { CustodyStore } from './custody/custody-store.ts'
import type { VersionRow } from './custody/rows.ts'
import { searchParametersOf } from './fhir/definitions.ts'
import { type LooseResource, matchesSearch, parseSearch, queryTokens, typeToken } from './fhir/index.ts'
import { type TokenIndex, tokenOf } from './index/token-index.ts'
import type { OwnerKeys } from './owner-keys.ts'
import type { OpenedVersion, RecordReader } from './record-reader.ts'
import type { SealedLabels } from './sealed-labels.ts'

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

  /** Matching current versions, opened; only those whose labels `maySee` lets through are opened at all. */
  async matches(
    owner: Uint8Array,
    request: SearchRequest,
    maySee: (labels: SealedLabels) => boolean = () => true,
  ): Promise<OpenedVersion[]> {
    const { reader } = this.#parts
    const hits: OpenedVersion[] = []
    for (const row of this.#candidates(owner, request)) {
      const labels = reader.labels(row)
      if (labels.type !== request.resourceType || !maySee(labels)) continue
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

/**
 * The element paths that each filter of a search reads; the decision holds them against scope and masks. Where the
 * definitions do not tell, the bare type stands for every element.
 */
export function parametersOf(request: SearchRequest): SearchParameter[] {
  const { resourceType: type, filters = [] } = request
  return filters.map(({ code }) => {
    const parameter = searchParametersOf(type).get(code)
    const roots = pathsIn(parameter?.expression ?? '', type)
    const parts = (parameter?.component ?? []) as unknown as readonly { readonly expression: string }[]
    const paths =
      parts.length === 0
        ? roots
        : roots.flatMap((root) =>
            parts.flatMap(({ expression }) =>
              expression.split('|').map((part) => elementPath(`${root}.${part.trim()}`)),
            ),
          )
    return { name: code, paths: paths.length > 0 ? [...new Set(paths)] : [type] }
  })
}

function pathsIn(expression: string, type: string): string[] {
  return expression
    .split('|')
    .map((part) => elementPath(part.trim().replace(/^\(+/, '')))
    .map((path) => path.replace(/^(Domain)?Resource(?=\.)/, type))
    .filter((path) => path === type || path.startsWith(`${type}.`))
}

/** The plain element path at the front of an expression: `Observation.value` of `Observation.value as Quantity`. */
function elementPath(expression: string): string {
  return (/^[A-Za-z]+(\.[a-z][A-Za-z]*(?![A-Za-z(]))*/.exec(expression) ?? [''])[0]
}
