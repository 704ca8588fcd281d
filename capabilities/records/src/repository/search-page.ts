import type { SearchRequest, SortRule } from '@medplum/core'
import type { Bundle, Resource } from '@medplum/fhirtypes'
import type { OpenedVersion } from '../record-reader.ts'
import { unsupported } from './outcomes.ts'

const DEFAULT_COUNT = 20
const MAX_COUNT = 1_000

/** What hits can be ordered by without opening them. */
const SORT_KEYS: Readonly<Record<string, (hit: OpenedVersion) => number | string>> = {
  _id: ({ labels }) => labels.recordId,
  // Versions arrive one after the other, so order of arrival is order of change.
  _lastUpdated: ({ row }) => row.seq,
  date: ({ labels }) => labels.fromMs ?? Number.NEGATIVE_INFINITY,
}

export function sorted(request: SearchRequest, hits: readonly OpenedVersion[]): OpenedVersion[] {
  const rules = request.sortRules ?? []
  for (const { code } of rules)
    if (SORT_KEYS[code] === undefined)
      throw unsupported('_sort takes _lastUpdated, date and _id; other orders are not supported yet.')
  return [...hits].sort((a, b) => compare(a, b, rules) || a.row.seq - b.row.seq)
}

function compare(a: OpenedVersion, b: OpenedVersion, rules: readonly SortRule[]): number {
  for (const { code, descending } of rules) {
    const key = SORT_KEYS[code] as (hit: OpenedVersion) => number | string
    const [left, right] = [key(a), key(b)]
    if (left !== right) return left < right !== (descending === true) ? -1 : 1
  }
  return 0
}

/** The page of a searchset. Only hits that the reader may see are passed in, so only they are counted. */
export function page(
  request: SearchRequest,
  hits: readonly OpenedVersion[],
  hand: ((hit: OpenedVersion) => Resource) | undefined,
): Bundle {
  if (request.fields !== undefined || request.summary !== undefined)
    throw unsupported('_summary and _elements are not supported yet; whole resources are returned.')
  const count = Math.min(request.count ?? DEFAULT_COUNT, MAX_COUNT)
  const offset = request.offset ?? 0
  const shown = hits.slice(offset, offset + count)
  return {
    resourceType: 'Bundle',
    type: 'searchset',
    // Counting is an answer of its own; without being asked, the server does not give it.
    ...(request.total === 'accurate' || request.total === 'estimate' ? { total: hits.length } : {}),
    ...(offset + count < hits.length
      ? { link: [{ relation: 'next', url: nextUrl(request, offset + count, count) }] }
      : {}),
    entry: shown.map((hit) => {
      const resource = hand?.(hit)
      return {
        fullUrl: hit.labels.recordId,
        search: { mode: 'match' },
        ...(resource === undefined ? {} : { resource }),
      }
    }),
  }
}

/** The next page keeps parameters as the request had them; values may be health data and stay in the body. */
function nextUrl({ resourceType, filters = [] }: SearchRequest, offset: number, count: number): string {
  const query = new URLSearchParams()
  for (const { code, operator, value } of filters)
    query.append(operator === 'eq' ? code : `${code}:${operator}`, value)
  query.set('_offset', String(offset))
  query.set('_count', String(count))
  return `${resourceType}?${query}`
}
