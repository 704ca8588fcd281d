import type { DateRange } from './dates.ts'

/*
 * Ordered values are found through buckets: a value is filed under every bucket it touches, a search asks for every
 * bucket its range touches, and each hit is compared again in plaintext. So buckets may be coarse, never missing.
 */

const DAY_MS = 86_400_000
/** A range that touches more buckets of a level than this is filed under the level's `wide` bucket instead. */
const MOST = { year: 12, month: 12, day: 8 } as const
/** The finest level that needs no more buckets than this is asked. */
const MOST_ASKED = { year: 301, month: 6, day: 7 } as const
export type DateLevel = keyof typeof MOST
export const DATE_LEVELS: readonly DateLevel[] = ['year', 'month', 'day']

/** Buckets under which a date is filed: `y2015`, `m2015-3`, `d16501` (days since 1970), or `ywide`, `mwide`, `dwide`. */
export function dateBuckets(range: DateRange): string[] {
  const inside = range.startMs >= EARLIEST_MS && range.endMs <= LATEST_MS
  return DATE_LEVELS.flatMap(
    (level) => (inside ? touched(range, level, MOST[level]) : undefined) ?? [wide(level)],
  )
}

/** Buckets that a search must ask for; undefined when buckets cannot narrow it. */
export function dateQueryBuckets(range: DateRange): string[] | undefined {
  if (range.endMs < EARLIEST_MS || range.startMs > LATEST_MS) return undefined
  const clipped = { startMs: Math.max(range.startMs, EARLIEST_MS), endMs: Math.min(range.endMs, LATEST_MS) }
  for (const level of ['day', 'month', 'year'] as const) {
    const buckets = touched(clipped, level, MOST_ASKED[level])
    if (buckets) return [...buckets, wide(level)]
  }
  return undefined
}

function wide(level: DateLevel): string {
  return `${level.charAt(0)}wide`
}

function touched(range: DateRange, level: DateLevel, most: number): string[] | undefined {
  const first = ordinal(civil(range.startMs), level)
  const last = ordinal(civil(range.endMs), level)
  if (last - first + 1 > most) return undefined
  const out: string[] = []
  for (let n = first; n <= last; n++) out.push(name(n, level))
  return out
}

interface Civil {
  readonly year: number
  readonly month: number
  readonly days: number
}

function ordinal(date: Civil, level: DateLevel): number {
  return level === 'year' ? date.year : level === 'month' ? date.year * 12 + date.month - 1 : date.days
}

function name(n: number, level: DateLevel): string {
  if (level === 'year') return `y${n}`
  if (level === 'month') return `m${Math.floor(n / 12)}-${(n % 12) + 1}`
  return `d${n}`
}

/** Year and month of a moment (the civil-from-days algorithm). */
function civil(ms: number): Civil {
  const days = Math.floor(ms / DAY_MS)
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const doe = z - era * 146_097
  const yoe = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365,
  )
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100))
  const mp = Math.floor((5 * doy + 2) / 153)
  const month = mp < 10 ? mp + 3 : mp - 9
  return { year: yoe + era * 400 + (month <= 2 ? 1 : 0), month, days }
}

/** From 1850-01-01 to 2150-12-31; what lies outside is filed as wide. */
const EARLIEST_MS = -3_786_825_600_000
const LATEST_MS = 5_711_817_599_999

/** Eight buckets to a decade; from 1e-6 to 1e9, what is smaller or larger shares one. */
const PER_DECADE = 8
const LOWEST = -6 * PER_DECADE
const HIGHEST = 9 * PER_DECADE

function magnitude(value: number): number {
  if (value === 0) return LOWEST - 1
  return Math.min(HIGHEST, Math.max(LOWEST, Math.floor(Math.log10(Math.abs(value)) * PER_DECADE)))
}

/** Buckets of a number or quantity; units are compared in plaintext. */
export function amountBuckets(low: number, high: number): string[] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return ['wide']
  const buckets = between(low, high)
  return buckets.length > PER_DECADE ? ['wide'] : buckets
}

export function amountQueryBuckets(low: number, high: number): string[] {
  return [...between(low, high), 'wide']
}

function between(low: number, high: number): string[] {
  const out: string[] = []
  if (low < 0) {
    const from = magnitude(Math.min(high, 0))
    for (let n = from; n <= magnitude(low); n++) out.push(`-${n}`)
  }
  if (high >= 0) {
    const from = magnitude(Math.max(low, 0))
    for (let n = from; n <= magnitude(high); n++) out.push(`+${n}`)
  }
  return out
}
