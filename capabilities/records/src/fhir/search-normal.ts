import { type DateRange, dateRange } from './dates.ts'
import type { Typed } from './search-paths.ts'

/** One normal form for each type of search value; tokens and matching both start from it. */

export interface TokenValue {
  readonly system: string | undefined
  readonly code: string | undefined
  readonly text?: string
}

export function tokensFrom(values: readonly Typed[]): TokenValue[] {
  const out: TokenValue[] = []
  for (const { type, value } of values) {
    if (typeof value !== 'object' || value === null) {
      if (value !== undefined && value !== null) out.push({ system: undefined, code: String(value) })
      continue
    }
    const node = value as Record<string, unknown>
    if (type === 'CodeableConcept') {
      const text = asText(node['text'])
      const codings = Array.isArray(node['coding']) ? node['coding'] : []
      for (const coding of codings) out.push(codingToken((coding ?? {}) as Record<string, unknown>, text))
      if (codings.length === 0 && text !== undefined) out.push({ system: undefined, code: undefined, text })
    } else if (type === 'Identifier') {
      const text = asText((node['type'] as Record<string, unknown> | undefined)?.['text'])
      out.push({
        system: asText(node['system']),
        code: asText(node['value']),
        ...(text === undefined ? {} : { text }),
      })
    } else if (type === 'ContactPoint') {
      // The system of a ContactPoint is not the name space of its value.
      out.push({ system: undefined, code: asText(node['value']) })
    } else if (type === 'Coding') {
      out.push(codingToken(node, undefined))
    }
  }
  return out
}

function codingToken(coding: Record<string, unknown>, concept: string | undefined): TokenValue {
  const text = asText(coding['display']) ?? concept
  return {
    system: asText(coding['system']),
    code: asText(coding['code']),
    ...(text === undefined ? {} : { text }),
  }
}

export interface ReferenceValue {
  readonly reference: string | undefined
  readonly identifier: TokenValue | undefined
}

export function referencesFrom(values: readonly Typed[]): ReferenceValue[] {
  const out: ReferenceValue[] = []
  for (const { value } of values) {
    if (typeof value === 'string') out.push({ reference: value, identifier: undefined })
    if (typeof value !== 'object' || value === null) continue
    const { reference, identifier } = value as { reference?: unknown; identifier?: unknown }
    const id = identifier as { system?: unknown; value?: unknown } | undefined
    out.push({
      reference: typeof reference === 'string' ? reference : undefined,
      identifier:
        id && typeof id === 'object' ? { system: asText(id.system), code: asText(id.value) } : undefined,
    })
  }
  return out
}

const NAME_PARTS = ['family', 'given', 'prefix', 'suffix', 'text'] as const
const ADDRESS_PARTS = ['line', 'city', 'district', 'state', 'postalCode', 'country', 'text'] as const

/** The texts of string values: whole strings, or the parts of a name or address. */
export function stringsFrom(values: readonly Typed[]): string[] {
  const out: string[] = []
  for (const { type, value } of values) {
    if (typeof value === 'string') out.push(value)
    if (typeof value !== 'object' || value === null) continue
    const parts: readonly string[] =
      type === 'HumanName' ? NAME_PARTS : type === 'Address' ? ADDRESS_PARTS : ['text']
    for (const part of parts) {
      const found = (value as Record<string, unknown>)[part]
      for (const text of Array.isArray(found) ? found : [found]) if (typeof text === 'string') out.push(text)
    }
  }
  return out
}

/** Case, accents and runs of white space do not tell strings apart (R4 search, string). */
export function normalString(text: string): string {
  const plain = ASCII.test(text) ? text : text.normalize('NFD').replace(/\p{M}+/gu, '')
  return plain.toLowerCase().replace(/\s+/g, ' ').trim()
}
const ASCII = /^[ -~]*$/

export function rangesFrom(values: readonly Typed[]): DateRange[] {
  const out: DateRange[] = []
  for (const { value } of values) {
    if (typeof value === 'string') push(out, dateRange(value))
    if (typeof value !== 'object' || value === null) continue
    const { start, end, event, repeat } = value as Record<string, unknown>
    for (const text of Array.isArray(event) ? event : [])
      if (typeof text === 'string') push(out, dateRange(text))
    const bounds = ((repeat ?? {}) as { boundsPeriod?: Record<string, unknown> }).boundsPeriod
    push(out, periodRange(start, end) ?? (bounds ? periodRange(bounds['start'], bounds['end']) : undefined))
  }
  return out
}

function periodRange(start: unknown, end: unknown): DateRange | undefined {
  const from = typeof start === 'string' ? dateRange(start) : undefined
  const to = typeof end === 'string' ? dateRange(end) : undefined
  if (!from && !to) return undefined
  return { startMs: from?.startMs ?? Number.NEGATIVE_INFINITY, endMs: to?.endMs ?? Number.POSITIVE_INFINITY }
}

function push<T>(list: T[], value: T | undefined): void {
  if (value !== undefined) list.push(value)
}

/** A number with the range it stands for; a quantity's unit as written. */
export interface Amount {
  readonly low: number
  readonly high: number
  readonly system: string | undefined
  readonly code: string | undefined
  readonly unit: string | undefined
}

export function amountsFrom(values: readonly Typed[]): Amount[] {
  const out: Amount[] = []
  for (const { type, value } of values) {
    if (typeof value === 'number') out.push(amount(value, value, {}))
    if (typeof value !== 'object' || value === null) continue
    const node = value as Record<string, unknown>
    if (type === 'Range') {
      const low = (node['low'] ?? {}) as Record<string, unknown>
      const high = (node['high'] ?? {}) as Record<string, unknown>
      const from = asNumber(low['value']) ?? Number.NEGATIVE_INFINITY
      const to = asNumber(high['value']) ?? Number.POSITIVE_INFINITY
      out.push(amount(from, to, low['code'] === undefined ? high : low))
      continue
    }
    const number = asNumber(node['value'])
    if (number === undefined) continue
    const comparator = asText(node['comparator']) ?? ''
    const from = comparator.startsWith('<') ? Number.NEGATIVE_INFINITY : number
    const to = comparator.startsWith('>') ? Number.POSITIVE_INFINITY : number
    // Money carries its unit as a currency code.
    out.push(amount(from, to, type === 'Money' ? { code: node['currency'] } : node))
  }
  return out
}

function amount(low: number, high: number, unit: Record<string, unknown>): Amount {
  return { low, high, system: asText(unit['system']), code: asText(unit['code']), unit: asText(unit['unit']) }
}

export function urisFrom(values: readonly Typed[]): string[] {
  return values.flatMap(({ value }) => (typeof value === 'string' ? [value] : []))
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
