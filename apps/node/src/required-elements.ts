import { structureDefinition } from '@salus/records/fhir'

const cache = new Map<string, ReadonlySet<string>>()

/** Whether FHIR requires an element, by its path in the definitions: `Observation.code`, `X.value[x]`. */
export function isRequiredElement(path: string): boolean {
  const type = path.slice(0, path.indexOf('.'))
  let required = cache.get(type)
  if (required === undefined) {
    const elements = structureDefinition(type).snapshot?.element ?? []
    required = new Set(
      elements.flatMap(({ path: at, min }) => (at !== undefined && (min ?? 0) > 0 ? [at] : [])),
    )
    cache.set(type, required)
  }
  return required.has(path)
}
