import { evalFhirPathTyped, type TypedValue, toTypedValue } from '@medplum/core'
import type { Resource, SearchParameter } from '@medplum/fhirtypes'
import type { ElementRow } from '../../definitions/shape.ts'
import { definitions, loadStructure, searchParametersOf } from './definitions.ts'
import { parseReference } from './references.ts'
import type { LooseResource } from './types.ts'

/*
 * R4 search parameters use a small part of FHIRPath: `a.b.c`, `ofType(T)`, `where(resolve() is T)`, `where(x = 'y')`.
 * These are compiled to plain member walks, an order of magnitude faster than evaluation; the types of what is found
 * come from the definitions. What does not compile is evaluated. Tests hold both against each other on all samples.
 */

export interface Typed {
  readonly type: string
  readonly value: unknown
}

type Step =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'targets'; readonly type: string }
  | { readonly kind: 'equals'; readonly name: string; readonly value: string }

/** One way from the root to a value of one type. */
interface Walk {
  readonly steps: readonly Step[]
  readonly type: string
}

export interface CompiledParameter {
  readonly code: string
  readonly type: string
  readonly parameter: SearchParameter
  /** Undefined where only FHIRPath can evaluate it. */
  readonly walks: readonly Walk[] | undefined
}

const compiled = new Map<string, ReadonlyMap<string, CompiledParameter>>()

/** Every search parameter of a type, compiled once. */
export function compiledParameters(type: string): ReadonlyMap<string, CompiledParameter> {
  const known = compiled.get(type)
  if (known) return known
  const map = new Map<string, CompiledParameter>()
  for (const [code, parameter] of searchParametersOf(type)) {
    map.set(code, {
      code,
      type: parameter.type ?? '',
      parameter,
      walks: compile(type, parameter.expression ?? ''),
    })
  }
  compiled.set(type, map)
  return map
}

/** The values of a search parameter in a resource, with their FHIR types. */
export function valuesOf(resource: LooseResource, parameter: CompiledParameter): Typed[] {
  if (parameter.walks === undefined)
    return evaluate(resource, expressionFor(resource.resourceType, parameter))
  const found: Typed[] = []
  for (const walk of parameter.walks) follow(resource, walk, 0, found)
  return found
}

/** FHIRPath over a resource or, for parts of a composite, over an element. */
export function evaluate(root: LooseResource | Typed, expression: string): TypedValue[] {
  if ('resourceType' in root) {
    loadStructure((root as LooseResource).resourceType)
    return evalFhirPathTyped(expression, [toTypedValue(root as unknown as Resource)])
  }
  return evalFhirPathTyped(expression, [root as TypedValue])
}

function expressionFor(type: string, parameter: CompiledParameter): string {
  return partsFor(type, parameter.parameter.expression ?? '').join(' | ')
}

/** The parts of a union that are about this type. */
export function partsFor(type: string, expression: string): string[] {
  return splitUnion(expression)
    .map((part) => part.trim())
    .flatMap((part) => {
      const base = /^\(*([A-Za-z]+)/.exec(part)?.[1]
      if (base === type) return [part]
      if (base === 'Resource' || base === 'DomainResource') return [part.replace(base, type)]
      return []
    })
}

function splitUnion(expression: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < expression.length; i++) {
    const c = expression[i]
    if (c === '(') depth++
    else if (c === ')') depth--
    else if (c === '|' && depth === 0) {
      parts.push(expression.slice(start, i))
      start = i + 1
    }
  }
  return [...parts, expression.slice(start)]
}

function follow(node: unknown, walk: Walk, index: number, found: Typed[]): void {
  if (node === undefined || node === null) return
  if (Array.isArray(node)) {
    for (const item of node) follow(item, walk, index, found)
    return
  }
  const step = walk.steps[index]
  if (step === undefined) {
    found.push({ type: walk.type, value: node })
    return
  }
  if (step.kind === 'member') {
    if (typeof node === 'object') follow((node as Record<string, unknown>)[step.name], walk, index + 1, found)
    return
  }
  const matches =
    step.kind === 'equals'
      ? (node as Record<string, unknown>)[step.name] === step.value
      : targetType(node) === step.type
  if (matches) follow(node, walk, index + 1, found)
}

/** What `resolve()` would find, as far as the reference itself says. */
function targetType(node: unknown): string | undefined {
  const { reference, type } = node as { reference?: unknown; type?: unknown }
  const parts = typeof reference === 'string' ? parseReference(reference) : undefined
  if (parts) return parts.type
  if (typeof type === 'string') return type
  return typeof reference === 'string' && reference.includes('?') ? reference.split('?')[0] : undefined
}

/** Where a walk stands: an element of a structure, or the root of a data type. */
interface Place {
  readonly structure: string
  readonly path: string
  readonly type: string
  readonly steps: readonly Step[]
}

function compile(type: string, expression: string): readonly Walk[] | undefined {
  const walks: Walk[] = []
  for (const part of partsFor(type, expression)) {
    const places = compilePart(type, part)
    if (!places) return undefined
    walks.push(...places.map((place) => ({ steps: place.steps, type: place.type })))
  }
  return walks
}

function compilePart(type: string, part: string): Place[] | undefined {
  const segments = segmentsOf(part)
  if (segments?.[0] !== type) return undefined
  let places: Place[] = [{ structure: type, path: '', type, steps: [] }]
  for (const segment of segments.slice(1)) {
    const next = applySegment(places, segment)
    if (!next) return undefined
    places = next
  }
  return places
}

function applySegment(places: readonly Place[], segment: string): Place[] | undefined {
  const typed = /^ofType\((\w+)\)$/.exec(segment)?.[1]
  if (typed) return places.filter((place) => place.type === typed)
  const target = /^where\(resolve\(\) is (\w+)\)$/.exec(segment)?.[1]
  if (target)
    return places.map((place) => ({ ...place, steps: [...place.steps, { kind: 'targets', type: target }] }))
  const equals = /^where\((\w+)\s*=\s*'([^']*)'\)$/.exec(segment)
  if (equals?.[1] && equals[2] !== undefined) {
    const step: Step = { kind: 'equals', name: equals[1], value: equals[2] }
    return places.map((place) => ({ ...place, steps: [...place.steps, step] }))
  }
  if (!/^\w+$/.test(segment)) return undefined
  return places.flatMap((place) => children(place, segment))
}

/** `(A.b.ofType(C)).d` → A, b, ofType(C), d. Undefined for anything richer. */
function segmentsOf(part: string): string[] | undefined {
  const wrapped = /^\(([^()]*(?:\([^()]*\)[^()]*)*)\)(?:\.(.*))?$/.exec(part)
  if (wrapped) {
    const inner = segmentsOf(wrapped[1] ?? '')
    const rest = wrapped[2] === undefined ? [] : segmentsOf(wrapped[2])
    return inner && rest ? [...inner, ...rest] : undefined
  }
  const segments: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i <= part.length; i++) {
    const c = part[i]
    if (c === '(') depth++
    else if (c === ')') depth--
    else if (c === ' ' && depth === 0) return undefined
    else if ((c === '.' || c === undefined) && depth === 0) {
      segments.push(part.slice(start, i))
      start = i + 1
    }
  }
  return segments
}

const rowsByStructure = new Map<string, ReadonlyMap<string, ElementRow>>()

function rowsOf(structure: string): ReadonlyMap<string, ElementRow> {
  let rows = rowsByStructure.get(structure)
  if (!rows) {
    const list = definitions.structures[structure]?.elements.map((index) => definitions.elements[index]) ?? []
    rows = new Map(list.flatMap((row) => (row ? [[row[0], row]] : [])))
    rowsByStructure.set(structure, rows)
  }
  return rows
}

function children(place: Place, name: string): Place[] {
  const rows = rowsOf(place.structure)
  const path = place.path === '' ? name : `${place.path}.${name}`
  const row = rows.get(path)
  if (row) return typesOf(row).map((type) => child(place, path, row, name, type))
  const choice = rows.get(`${path}[x]`)
  if (!choice) return []
  return typesOf(choice).map((type) =>
    child(place, path, choice, name + type.charAt(0).toUpperCase() + type.slice(1), type),
  )
}

function typesOf(row: ElementRow): string[] {
  if (row[6]) return ['BackboneElement']
  return (definitions.types[row[3]] ?? []).map(([code]) => code)
}

function child(place: Place, path: string, row: ElementRow, member: string, type: string): Place {
  const steps: readonly Step[] = [...place.steps, { kind: 'member', name: member }]
  if (type === 'BackboneElement' || type === 'Element') {
    return { structure: place.structure, path: row[6] || path, type, steps }
  }
  return { structure: type, path: '', type, steps }
}
