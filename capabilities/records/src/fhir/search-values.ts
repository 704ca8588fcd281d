import type { Filter } from '@medplum/core'
import type { DateRange } from './dates.ts'
import { amountBuckets, amountQueryBuckets, dateBuckets, dateQueryBuckets } from './search-buckets.ts'
import { amountCondition, dateCondition, splitValues } from './search-conditions.ts'
import {
  amountsFrom,
  normalString,
  rangesFrom,
  referencesFrom,
  stringsFrom,
  tokensFrom,
  urisFrom,
} from './search-normal.ts'
import { type CompiledParameter, compiledParameters, type Typed, valuesOf } from './search-paths.ts'
import type { LooseResource } from './types.ts'

/*
 * Token inputs: `type|param|kind|value`. Kinds: `t` system and code, `c` code alone, `r` reference, `i` identifier of a
 * reference, `p` string prefix, `s` whole string, `d` date bucket, `n` number or quantity bucket, `u` uri. The caller
 * keys them per patient; a hit is always opened and matched again (`matchesSearch`), so a token may find too much and
 * must never find too little.
 */

const SHORTEST_PREFIX = 3
const LONGEST_PREFIX = 8
/** Bounds what one record can add to an index; a search for what lies beyond falls back to all of the type. */
const MOST_TOKENS = 400

/**
 * Parameters that a patient-scoped search does not look up by token: the patient is chosen by key, `_id` and
 * `_lastUpdated` are columns, composites and combinations are answered by the tokens of their parts.
 */
const UNTOKENED: ReadonlySet<string> = new Set([
  '_id',
  '_lastUpdated',
  '_text',
  '_content',
  '_list',
  '_query',
  '_has',
  '_type',
  '_profile',
  '_security',
  '_source',
  '_tag',
  'patient',
  'phonetic',
])

/** The token input every resource of a type has. */
export function typeToken(type: string): string {
  return `${type}||type|`
}

/** Token for a resource with more values than are filed: it must be a candidate for every search of its type. */
function overflowToken(type: string): string {
  return `${type}||more|`
}

const indexed = new Map<string, readonly CompiledParameter[]>()

function indexedParameters(type: string): readonly CompiledParameter[] {
  let list = indexed.get(type)
  if (!list) {
    list = [...compiledParameters(type).values()].filter((p) => isTokened(p))
    indexed.set(type, list)
  }
  return list
}

function isTokened({ code, type }: CompiledParameter): boolean {
  return !UNTOKENED.has(code) && !code.startsWith('combo-') && type !== 'composite' && type !== 'special'
}

/** Token inputs of a resource: `type|param|kind|value` each; the caller keys them (HMAC under `IK_p`). */
export function searchTokens(resource: LooseResource): string[] {
  const type = resource.resourceType
  const out = new Set<string>([typeToken(type)])
  for (const parameter of indexedParameters(type)) {
    const values = valuesOf(resource, parameter)
    if (values.length === 0) continue
    const before = `${type}|${parameter.code}|`
    for (const input of inputsOf(parameter, values)) out.add(before + input)
  }
  if (out.size <= MOST_TOKENS) return [...out]
  return [...[...out].slice(0, MOST_TOKENS), overflowToken(type)]
}

function inputsOf(parameter: CompiledParameter, values: readonly Typed[]): string[] {
  switch (parameter.type) {
    case 'token':
      return tokensFrom(values).flatMap(({ system, code }) => {
        if (code === undefined) return []
        const value = code.toLowerCase()
        return system === undefined ? [`c|${value}`] : [`t|${system.toLowerCase()}|${value}`, `c|${value}`]
      })
    case 'reference':
      return referencesFrom(values).flatMap(({ reference, identifier }) => [
        // The owner is known by the key of the index; her reference would be in every record.
        ...(reference === undefined || reference.startsWith('#') || /(^|\/)Patient\/[^/]+$/.test(reference)
          ? []
          : [`r|${unversioned(reference)}`]),
        ...(identifier?.code === undefined ? [] : [`i|${identifier.code.toLowerCase()}`]),
      ])
    case 'string':
      return stringsFrom(values).flatMap((text) => stringInputs(normalString(text)))
    case 'date':
      return rangesFrom(values).flatMap((range) => dateBuckets(range).map((bucket) => `d|${bucket}`))
    case 'number':
    case 'quantity':
      return amountsFrom(values).flatMap(({ low, high }) =>
        amountBuckets(low, high).map((bucket) => `n|${bucket}`),
      )
    case 'uri':
      return urisFrom(values).map((uri) => `u|${uri}`)
    default:
      return []
  }
}

function stringInputs(text: string): string[] {
  const out = [`s|${text}`]
  const longest = Math.min(LONGEST_PREFIX, text.length)
  for (let length = SHORTEST_PREFIX; length <= longest; length++) out.push(`p|${text.slice(0, length)}`)
  return out
}

function unversioned(reference: string): string {
  const history = reference.indexOf('/_history/')
  return history === -1 ? reference : reference.slice(0, history)
}

/**
 * Token inputs that a hit of this filter must have: any of the inner list, for each of the outer.
 * Undefined where tokens cannot narrow it (the caller then takes `typeToken` and re-checks).
 */
export function queryTokens(type: string, filter: Filter): string[][] | undefined {
  const parameter = compiledParameters(type).get(filter.code)
  if (!parameter) return undefined
  if (parameter.type === 'composite') return compositeTokens(type, parameter, filter)
  if (filter.code.startsWith('combo-')) return combinedTokens(type, filter)
  if (!isTokened(parameter)) return undefined
  const inputs = inputsAsked(parameter, filter)
  if (!inputs) return undefined
  return [[...inputs.map((input) => `${type}|${parameter.code}|${input}`), overflowToken(type)]]
}

/** `combo-code` is `code` of the resource or of its components. */
function combinedTokens(type: string, filter: Filter): string[][] | undefined {
  const rest = filter.code.slice('combo-'.length)
  const own = queryTokens(type, { ...filter, code: rest })?.[0]
  const components = queryTokens(type, { ...filter, code: `component-${rest}` })?.[0]
  return own && components ? [[...new Set([...own, ...components])]] : undefined
}

/** A hit has each part of the pair; that they belong together is checked in plaintext. */
function compositeTokens(type: string, parameter: CompiledParameter, filter: Filter): string[][] | undefined {
  const codes = componentCodes(type, parameter)
  const values = splitValues(filter.value)
  if (values.length !== 1 || filter.operator !== 'eq') return undefined
  const out: string[][] = []
  for (const [index, value] of (values[0] ?? '').split('$').entries()) {
    const code = codes[index]
    const part = code === undefined ? undefined : queryTokens(type, { code, operator: 'eq', value })
    if (part) out.push(...part)
  }
  return out.length > 0 ? out : undefined
}

/** The search parameters that the parts of a composite name, by code. */
export function componentCodes(type: string, parameter: CompiledParameter): (string | undefined)[] {
  const parts = (parameter.parameter.component ?? []) as unknown as readonly { definition: string }[]
  return parts.map(({ definition }) => {
    for (const candidate of compiledParameters(type).values()) {
      if (candidate.parameter.id === definition) return candidate.code
    }
    return undefined
  })
}

function inputsAsked(parameter: CompiledParameter, filter: Filter): string[] | undefined {
  const values = splitValues(filter.value)
  const all: string[] = []
  for (const value of values) {
    const inputs = inputsAskedOf(parameter, filter.operator, value)
    if (!inputs) return undefined
    all.push(...inputs)
  }
  return all.length > 0 ? all : undefined
}

function inputsAskedOf(parameter: CompiledParameter, operator: string, value: string): string[] | undefined {
  switch (parameter.type) {
    case 'token': {
      if (operator !== 'eq') return undefined
      const bar = value.indexOf('|')
      const system = bar === -1 ? undefined : value.slice(0, bar).toLowerCase()
      const code = value.slice(bar + 1).toLowerCase()
      if (code === '') return undefined
      return system ? [`t|${system}|${code}`] : [`c|${code}`]
    }
    case 'reference': {
      if (operator === 'identifier') {
        const code = value.slice(value.indexOf('|') + 1).toLowerCase()
        return code === '' ? undefined : [`i|${code}`]
      }
      if (operator !== 'eq' || value === '') return undefined
      const reference = unversioned(value)
      if (/(^|\/)Patient\/[^/]+$/.test(reference)) return undefined
      if (reference.includes('/') || reference.includes(':')) return [`r|${reference}`]
      const targets = (parameter.parameter.target ?? []) as readonly string[]
      // An id alone may be a patient's, and references to patients are not filed.
      return targets.includes('Patient') ? undefined : targets.map((target) => `r|${target}/${reference}`)
    }
    case 'string': {
      const text = normalString(value)
      if (operator === 'exact') return [`s|${text}`]
      if (operator !== 'eq' || text.length < SHORTEST_PREFIX) return undefined
      return [`p|${text.slice(0, LONGEST_PREFIX)}`]
    }
    case 'date': {
      const condition = dateCondition(operator, value)
      return condition && bucketsFor(condition.candidates, dateQueryBuckets, 'd')
    }
    case 'number':
    case 'quantity': {
      const condition = amountCondition(operator, value)
      return condition && bucketsFor(condition.candidates, (r) => amountQueryBuckets(r.startMs, r.endMs), 'n')
    }
    case 'uri':
      return operator === 'eq' ? [`u|${value}`] : undefined
    default:
      return undefined
  }
}

function bucketsFor(
  range: DateRange | undefined,
  buckets: (range: DateRange) => string[] | undefined,
  kind: string,
): string[] | undefined {
  return range === undefined ? undefined : buckets(range)?.map((bucket) => `${kind}|${bucket}`)
}
