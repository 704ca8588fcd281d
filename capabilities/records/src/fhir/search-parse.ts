import { type Filter, parseSearchRequest, type SearchRequest } from '@medplum/core'
import { AppError } from '@salus/core'
import { RESOURCE_TYPES } from './definitions.ts'
import { amountCondition, dateCondition, prefixOf, splitValues } from './search-conditions.ts'
import { type CompiledParameter, compiledParameters } from './search-paths.ts'

/** Parameters that shape the answer rather than choose what is in it; `@medplum/core` reads them. */
const CONTROLS: ReadonlySet<string> = new Set([
  '_sort',
  '_count',
  '_offset',
  '_cursor',
  '_total',
  '_summary',
  '_include',
  '_revinclude',
  '_fields',
  '_elements',
  '_type',
  '_format',
  '_pretty',
  '_',
])

/** Text searches and server-side lists need more than the record itself. */
const UNANSWERED: ReadonlySet<string> = new Set(['_text', '_content', '_list', '_query'])
const ORDERED: ReadonlySet<string> = new Set(['date', 'number', 'quantity'])

const MODIFIERS: Readonly<Record<string, readonly string[]>> = {
  token: ['not', 'text', 'missing', 'of-type'],
  reference: ['identifier', 'missing'],
  string: ['exact', 'contains', 'missing'],
  uri: ['below', 'above', 'missing'],
  date: ['missing'],
  number: ['missing'],
  quantity: ['missing'],
  composite: ['missing'],
}

const MOST_FILTERS = 50
const MOST_CHARACTERS = 8_192

/**
 * Parses `Observation?code=…`, or the type and its query. Throws AppError SEARCH, naming parameter and rule but no
 * value, for unknown types, parameters and modifiers, bad values, and chains (`a.b`, `_has`), which need other records.
 */
export function parseSearch(url: string): SearchRequest {
  if (url.length > MOST_CHARACTERS)
    throw new AppError('SEARCH', `The search is longer than ${MOST_CHARACTERS} characters. Split it.`)
  const question = url.indexOf('?')
  const type = (question === -1 ? url : url.slice(0, question)).split('/').filter(Boolean).at(-1) ?? ''
  if (!RESOURCE_TYPES.has(type))
    throw new AppError(
      'SEARCH',
      'The search names no resource type of R4. Name one, for example Observation?code=…',
    )
  const controls = new URLSearchParams()
  const filters: Filter[] = []
  for (const [key, value] of new URLSearchParams(question === -1 ? '' : url.slice(question + 1))) {
    if (CONTROLS.has(key.split(':')[0] ?? '')) controls.append(key, value)
    else filters.push(filterOf(type, key, value))
  }
  if (filters.length > MOST_FILTERS)
    throw new AppError('SEARCH', `The search has more than ${MOST_FILTERS} parameters. Split it.`)
  let request: SearchRequest
  try {
    request = parseSearchRequest(`${type}?${controls}`)
  } catch {
    throw new AppError(
      'SEARCH',
      'An _include or _revinclude is not of the form Type:parameter or Type:parameter:Target.',
    )
  }
  return filters.length > 0 ? { ...request, filters } : request
}

function filterOf(type: string, key: string, value: string): Filter {
  const colon = key.indexOf(':')
  const code = colon === -1 ? key : key.slice(0, colon)
  const modifier = colon === -1 ? '' : key.slice(colon + 1)
  if (code === '_has' || key.includes('.')) {
    throw new AppError(
      'SEARCH',
      'Chained parameters and _has are not answered here. Search the two types one after the other.',
    )
  }
  const parameter = compiledParameters(type).get(code)
  if (!parameter || parameter.type === 'special' || UNANSWERED.has(code)) {
    throw new AppError(
      'SEARCH',
      `${type} has no search parameter of this name. See the CapabilityStatement for those it has.`,
      { type, parameter: code.slice(0, 64) },
    )
  }
  if (value === '')
    throw new AppError('SEARCH', `The search parameter ${code} has no value. Give one or leave it out.`)
  const filter = withModifier(type, parameter, modifier, value)
  checkValue(parameter, filter)
  return filter
}

function withModifier(type: string, parameter: CompiledParameter, modifier: string, value: string): Filter {
  const { code } = parameter
  if (modifier === '') {
    if (!ORDERED.has(parameter.type) || splitValues(value).length > 1) return { code, operator: 'eq', value }
    const { operator, rest } = prefixOf('eq', value)
    return { code, operator: operator as Filter['operator'], value: rest }
  }
  if (MODIFIERS[parameter.type]?.includes(modifier)) {
    if (modifier === 'missing' && value !== 'true' && value !== 'false') {
      throw new AppError('SEARCH', `${code}:missing takes true or false.`)
    }
    return { code, operator: modifier as Filter['operator'], value }
  }
  // subject:Patient=1 is subject=Patient/1
  if (parameter.type === 'reference' && RESOURCE_TYPES.has(modifier))
    return { code, operator: 'eq', value: `${modifier}/${value}` }
  throw new AppError('SEARCH', `The search parameter ${type}.${code} has no such modifier.`, {
    allowed: MODIFIERS[parameter.type] ?? [],
  })
}

function checkValue(parameter: CompiledParameter, filter: Filter): void {
  if (filter.operator === 'missing') return
  for (const value of splitValues(filter.value)) {
    const isGood =
      parameter.type === 'date'
        ? dateCondition(filter.operator, value) !== undefined
        : parameter.type === 'number' || parameter.type === 'quantity'
          ? amountCondition(filter.operator, value) !== undefined
          : true
    if (!isGood)
      throw new AppError(
        'SEARCH',
        `The search parameter ${filter.code} takes a ${parameter.type}, with a prefix or without (R4 search).`,
      )
  }
}
