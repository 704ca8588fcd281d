import { globalSchema, indexSearchParameter, isDataTypeLoaded, loadDataType } from '@medplum/core'
import type { ElementDefinition, SearchParameter, StructureDefinition } from '@medplum/fhirtypes'
import slim from '../../definitions/r4.json' with { type: 'json' }
import type { ElementRow, SearchRow, SlimDefinitions } from '../../definitions/shape.ts'

export const definitions = slim as unknown as SlimDefinitions

const PROFILE_BASE = 'http://hl7.org/fhir/StructureDefinition/'
const NO_LIST: readonly number[] = []

/** The 146 types of R4 4.0.1 that a server stores. */
export const RESOURCE_TYPES: ReadonlySet<string> = new Set(
  Object.entries(definitions.structures).flatMap(([name, s]) =>
    s.kind === 'resource' && !s.abstract ? [name] : [],
  ),
)

// Structures are inflated type by type: a process pays for the dozen types it meets, not for all of R4.
const inflated = new Set<string>()

/** Makes a resource type, and the data types, known to `@medplum/core`. Unknown names change nothing. */
export function loadStructure(name: string): void {
  if (inflated.has(name)) return
  if (inflated.size === 0) {
    for (const [type, structure] of Object.entries(definitions.structures)) {
      if (structure.kind !== 'resource' || structure.abstract) inflate(type)
    }
  }
  if (name in definitions.structures) inflate(name)
}

function inflate(name: string): void {
  if (inflated.has(name)) return
  inflated.add(name)
  loadDataType(structureDefinition(name))
}

/** The StructureDefinition a slim structure stands for: what validation reads of it, no more. */
export function structureDefinition(name: string): StructureDefinition {
  const structure = definitions.structures[name]
  if (!structure) throw new Error(`No structure ${name}`)
  const root = structure.type
  return {
    resourceType: 'StructureDefinition',
    status: 'active',
    name,
    type: root,
    kind: structure.kind as StructureDefinition['kind'] & string,
    abstract: structure.abstract,
    url: PROFILE_BASE + name,
    snapshot: {
      element: structure.elements.map((index) => elementDefinition(root, definitions.elements[index])),
    },
  } as StructureDefinition
}

function elementDefinition(root: string, row: ElementRow | undefined): ElementDefinition {
  if (!row) throw new Error('A structure names an element that is not there')
  const [own, min, max, types, constraints = NO_LIST, binding, content, flags = 0, baseMax] = row
  const path = own === '' ? root : `${root}.${own}`
  return {
    id: path,
    path,
    min,
    max,
    base: { path, min, max: baseMax || max },
    type: (definitions.types[types] ?? []).map(([code, ...targets]) => ({
      code,
      ...(targets.length > 0
        ? { targetProfile: targets.map((t) => (t.includes('/') ? t : PROFILE_BASE + t)) }
        : {}),
    })),
    constraint: constraints.map((index) => {
      const [key = '', expression = '', human = ''] = definitions.constraints[index] ?? []
      return { key, expression, human, severity: 'error' as const }
    }),
    ...(binding ? { binding: { strength: 'required' as const, valueSet: binding } } : {}),
    ...(content ? { contentReference: `#${root}.${content}` } : {}),
    isSummary: (flags & 1) === 1,
    isModifier: (flags & 2) === 2,
  } as ElementDefinition
}

const parametersByType = new Map<string, Map<string, SearchParameter>>()

/** Search parameters of a type by code, those of Resource and DomainResource included. */
export function searchParametersOf(type: string): ReadonlyMap<string, SearchParameter> {
  const known = parametersByType.get(type)
  if (known) return known
  const map = new Map<string, SearchParameter>()
  for (const row of definitions.searchParameters) {
    const inherited = row.base.includes('Resource') || row.base.includes('DomainResource')
    if (inherited || row.base.includes(type)) map.set(row.code, searchParameter(row))
  }
  parametersByType.set(type, map)
  return map
}

/** Makes the search parameters of a type known to `@medplum/core` (its parser and matcher read a global table). */
export function loadSearchParameters(type: string): void {
  if (globalSchema.types[type]?.searchParams?.['_lastUpdated'] && loadedParameters.has(type)) return
  loadedParameters.add(type)
  for (const parameter of searchParametersOf(type).values()) {
    indexSearchParameter({ ...parameter, base: [type] } as SearchParameter)
  }
}
const loadedParameters = new Set<string>()

function searchParameter(row: SearchRow): SearchParameter {
  return {
    resourceType: 'SearchParameter',
    id: row.id,
    code: row.code,
    base: row.base,
    type: row.type,
    expression: row.expression,
    ...(row.target ? { target: row.target } : {}),
    ...(row.component ? { component: row.component } : {}),
  } as unknown as SearchParameter
}

export { isDataTypeLoaded }
