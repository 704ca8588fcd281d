import { type DateRange, dateRange } from './dates.ts'

/** What a search value of an ordered type asks for. `candidates` is a range that every match touches. */
export interface Condition<Value> {
  readonly candidates: Value | undefined
  readonly matches: (value: Value) => boolean
}

const PREFIX = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d.+-])/
const TEN_PERCENT = 0.1
const DAY_MS = 86_400_000

/** Values of an `or` list; a backslash makes a comma part of a value (R4 search, escaping). */
export function splitValues(text: string): string[] {
  const out: string[] = []
  let current = ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '\\' && i + 1 < text.length) current += text[++i]
    else if (c === ',') {
      out.push(current)
      current = ''
    } else current += c
  }
  return [...out, current]
}

/** Each value of a list may carry its own prefix; the filter's operator holds for those without. */
export function prefixOf(
  operator: string,
  value: string,
): { readonly operator: string; readonly rest: string } {
  const prefix = PREFIX.exec(value)?.[1]
  return prefix === undefined
    ? { operator, rest: value }
    : { operator: prefix, rest: value.slice(prefix.length) }
}

/** R4 search, date. `ap` is within a tenth of nothing sensible without a clock, so: within one day of the range. */
export function dateCondition(filterOperator: string, value: string): Condition<DateRange> | undefined {
  const { operator, rest } = prefixOf(filterOperator, value)
  const asked = dateRange(rest)
  return asked && rangeCondition(operator, asked, DAY_MS)
}

export interface AmountAsked {
  readonly system: string | undefined
  readonly code: string | undefined
}

/**
 * R4 search, number and quantity: `5.4|http://unitsofmeasure.org|mg`, `5.4||mg`, `5.4`. A number stands for the range
 * that its digits imply (5.4 is 5.35 to 5.45). The range's ends are numbers under the names of a date range's.
 */
export function amountCondition(
  filterOperator: string,
  value: string,
): (Condition<DateRange> & { readonly asked: AmountAsked }) | undefined {
  const [number = '', system, code] = value.split('|')
  const { operator, rest } = prefixOf(filterOperator, number)
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(rest)) return undefined
  const exact = Number(rest)
  if (!Number.isFinite(exact)) return undefined
  const half = impliedHalfStep(rest)
  const implied: DateRange = { startMs: exact - half, endMs: exact + half }
  const isOrder = operator !== 'eq' && operator !== 'ne' && operator !== 'ap'
  const condition = rangeCondition(
    operator,
    isOrder ? { startMs: exact, endMs: exact } : implied,
    Math.abs(exact) * TEN_PERCENT,
  )
  return condition && { ...condition, asked: { system: system || undefined, code: code || undefined } }
}

function impliedHalfStep(text: string): number {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const decimals = mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0
  return 0.5 * 10 ** (Number(exponent) - decimals)
}

function rangeCondition(operator: string, asked: DateRange, slack: number): Condition<DateRange> | undefined {
  const { startMs: from, endMs: to } = asked
  const low = Number.NEGATIVE_INFINITY
  const high = Number.POSITIVE_INFINITY
  switch (operator) {
    case 'eq':
      return { candidates: asked, matches: (v) => v.startMs >= from && v.endMs <= to }
    case 'ne':
      return { candidates: undefined, matches: (v) => !(v.startMs >= from && v.endMs <= to) }
    case 'gt':
      return { candidates: { startMs: to, endMs: high }, matches: (v) => v.endMs > to }
    case 'lt':
      return { candidates: { startMs: low, endMs: from }, matches: (v) => v.startMs < from }
    case 'ge':
      return {
        candidates: { startMs: from, endMs: high },
        matches: (v) => v.endMs > to || (v.startMs >= from && v.endMs <= to),
      }
    case 'le':
      return {
        candidates: { startMs: low, endMs: to },
        matches: (v) => v.startMs < from || (v.startMs >= from && v.endMs <= to),
      }
    case 'sa':
      return { candidates: { startMs: to, endMs: high }, matches: (v) => v.startMs > to }
    case 'eb':
      return { candidates: { startMs: low, endMs: from }, matches: (v) => v.endMs < from }
    case 'ap': {
      const near = { startMs: from - slack, endMs: to + slack }
      return { candidates: near, matches: (v) => v.startMs <= near.endMs && v.endMs >= near.startMs }
    }
    default:
      return undefined
  }
}
