import type { Filter, SearchRequest, TypedValue } from '@medplum/core'
import { loadStructure } from './definitions.ts'
import { amountCondition, dateCondition, splitValues } from './search-conditions.ts'
import {
  amountsFrom,
  normalString,
  rangesFrom,
  referencesFrom,
  stringsFrom,
  type TokenValue,
  tokensFrom,
  urisFrom,
} from './search-normal.ts'
import {
  type CompiledParameter,
  compiledParameters,
  evaluate,
  partsFor,
  type Typed,
  valuesOf,
} from './search-paths.ts'
import { componentCodes } from './search-values.ts'
import type { LooseResource } from './types.ts'

/** Whether a plaintext resource matches every filter, number, quantity and composite included. */
export function matchesSearch(resource: LooseResource, request: SearchRequest): boolean {
  if (resource.resourceType !== request.resourceType) return false
  return (request.filters ?? []).every((filter) => matchesFilter(resource, filter))
}

function matchesFilter(resource: LooseResource, filter: Filter): boolean {
  const parameter = compiledParameters(resource.resourceType).get(filter.code)
  if (!parameter) return false
  if (filter.operator === 'missing')
    return (valuesOf(resource, parameter).length === 0) === (filter.value === 'true')
  if (parameter.type === 'composite') return matchesComposite(resource, parameter, filter)
  return matchesValues(parameter, valuesOf(resource, parameter), filter)
}

function matchesValues(parameter: CompiledParameter, values: readonly Typed[], filter: Filter): boolean {
  const asked = splitValues(filter.value)
  if (filter.operator === 'not') {
    return !asked.some((value) => tokensFrom(values).some((token) => matchesToken(token, 'eq', value)))
  }
  return asked.some((value) => matchesOne(parameter, values, filter.operator, value))
}

function matchesOne(
  parameter: CompiledParameter,
  values: readonly Typed[],
  operator: string,
  value: string,
): boolean {
  switch (parameter.type) {
    case 'token':
      return tokensFrom(values).some((token) => matchesToken(token, operator, value))
    case 'reference':
      return referencesFrom(values).some(({ reference, identifier }) =>
        operator === 'identifier'
          ? identifier !== undefined && matchesToken(identifier, 'eq', value)
          : reference !== undefined && matchesReference(reference, value, parameter),
      )
    case 'string':
      return stringsFrom(values).some((text) => matchesString(text, operator, value))
    case 'date': {
      const condition = dateCondition(operator, value)
      return condition !== undefined && rangesFrom(values).some(condition.matches)
    }
    case 'number':
    case 'quantity': {
      const condition = amountCondition(operator, value)
      if (!condition) return false
      const { system, code } = condition.asked
      return amountsFrom(values).some(
        (found) =>
          condition.matches({ startMs: found.low, endMs: found.high }) &&
          (code === undefined ||
            (system === undefined
              ? found.code === code || found.unit === code
              : found.code === code && found.system === system)),
      )
    }
    case 'uri':
      return urisFrom(values).some((uri) =>
        operator === 'below'
          ? uri.startsWith(value)
          : operator === 'above'
            ? value.startsWith(uri)
            : uri === value,
      )
    default:
      return false
  }
}

function matchesToken(token: TokenValue, operator: string, value: string): boolean {
  if (operator === 'text')
    return token.text !== undefined && normalString(token.text).startsWith(normalString(value))
  if (operator === 'of-type') {
    // system|code|value of an Identifier: the type's coding is not kept here, so only the value is compared.
    return token.code?.toLowerCase() === (value.split('|')[2] ?? '').toLowerCase()
  }
  const bar = value.indexOf('|')
  const code = value.slice(bar + 1).toLowerCase()
  const codeMatches = code === '' || token.code?.toLowerCase() === code
  if (bar === -1) return code !== '' && codeMatches
  const system = value.slice(0, bar).toLowerCase()
  if (system === '') return code !== '' && token.system === undefined && codeMatches
  return token.system?.toLowerCase() === system && codeMatches
}

function matchesReference(reference: string, value: string, parameter: CompiledParameter): boolean {
  const plain = reference.split('/_history/')[0] ?? ''
  const asked = value.split('/_history/')[0] ?? ''
  if (asked.includes('/') || asked.includes(':')) return plain === asked
  const targets = (parameter.parameter.target ?? []) as readonly string[]
  return targets.some((target) => plain === `${target}/${asked}`)
}

function matchesString(text: string, operator: string, value: string): boolean {
  if (operator === 'exact') return text === value
  const [found, asked] = [normalString(text), normalString(value)]
  return operator === 'contains' ? found.includes(asked) : found.startsWith(asked)
}

/** Each part must hold on the same element: the component whose code it is has the value, not another one. */
function matchesComposite(resource: LooseResource, parameter: CompiledParameter, filter: Filter): boolean {
  const type = resource.resourceType
  loadStructure(type)
  const codes = componentCodes(type, parameter)
  const components = (parameter.parameter.component ?? []) as unknown as readonly { expression: string }[]
  const roots = partsFor(type, parameter.parameter.expression ?? '').flatMap((part) =>
    part === type ? [resourceRoot(resource)] : evaluate(resource, part),
  )
  return splitValues(filter.value).some((pair) => {
    const parts = pair.split('$')
    if (parts.length !== components.length) return false
    return roots.some((root) =>
      components.every((component, index) => {
        const code = codes[index]
        const part = code === undefined ? undefined : compiledParameters(type).get(code)
        if (!part) return false
        return matchesOne(part, evaluate(root, component.expression), 'eq', parts[index] ?? '')
      }),
    )
  })
}

function resourceRoot(resource: LooseResource): TypedValue {
  return { type: resource.resourceType, value: resource }
}
