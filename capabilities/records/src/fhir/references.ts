import { definitions } from './definitions.ts'
import type { LooseResource } from './types.ts'

export interface FoundReference {
  /** `Observation.subject`, `Claim.item[0].encounter[0]`, `Patient.contained[0].managingOrganization`. */
  readonly path: string
  /** As written; undefined for a reference by identifier or display only. */
  readonly reference: string | undefined
  /** Anything beside `reference` (display, identifier, type, extension): what a view cuts away. */
  readonly rest: boolean
  /** The Reference object inside the resource. */
  readonly node: Readonly<Record<string, unknown>>
}

const LITERAL =
  /^(?:(https?:\/\/[^?#]+|[A-Za-z][A-Za-z0-9+.-]*:\/\/[^?#]+)\/)?([A-Z][A-Za-z]{2,40})\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?(?:#.*)?$/

/** Parts of a literal reference: relative, absolute, with a version; undefined for fragments, urns and queries. */
export function parseReference(
  reference: string,
): { readonly type: string; readonly id: string; readonly base: string | undefined } | undefined {
  const parts = LITERAL.exec(reference)
  if (!parts?.[2] || !parts[3]) return undefined
  return { type: parts[2], id: parts[3], base: parts[1] }
}

/**
 * Every Reference inside, contained and nested resources too, in document order.
 *
 * A Reference is an object with a text `reference`; or, where an element of that name is a Reference in R4, one that
 * has an identifier or a display and nothing that a Reference does not have.
 */
export function walkReferences(resource: LooseResource): FoundReference[] {
  const found: FoundReference[] = []
  walk(resource, resource.resourceType, '', found)
  return found
}

function walk(node: object, path: string, name: string, found: FoundReference[]): void {
  if (Array.isArray(node)) {
    for (let i = 0; i < node.length; i++) {
      const item: unknown = node[i]
      if (typeof item === 'object' && item !== null) walk(item, `${path}[${i}]`, name, found)
    }
    return
  }
  const object = node as Record<string, unknown>
  if (isReferenceObject(object, name)) {
    const reference = object['reference']
    let rest = false
    for (const key in object) rest ||= key !== 'reference'
    found.push({ path, reference: typeof reference === 'string' ? reference : undefined, rest, node: object })
  }
  for (const key in object) {
    const value = object[key]
    if (typeof value === 'object' && value !== null) walk(value, `${path}.${key}`, key, found)
  }
}

const REFERENCE_MEMBERS: ReadonlySet<string> = new Set([
  'id',
  'extension',
  'reference',
  '_reference',
  'type',
  '_type',
  'identifier',
  'display',
  '_display',
])

function isReferenceObject(object: Record<string, unknown>, name: string): boolean {
  if (typeof object['reference'] === 'string') return !('resourceType' in object)
  const isLogical = isObject(object['identifier']) || typeof object['display'] === 'string'
  return isLogical && hasOnlyReferenceMembers(object) && referenceNames().has(name)
}

let names: ReadonlySet<string> | undefined

/** Names of elements that are References somewhere in R4; a Coding with only a display looks the same inside. */
function referenceNames(): ReadonlySet<string> {
  if (!names) {
    const found = new Set<string>(['valueReference'])
    for (const [path, , , types] of definitions.elements) {
      if (!definitions.types[types]?.some(([code]) => code === 'Reference')) continue
      const last = path.slice(path.lastIndexOf('.') + 1)
      found.add(last.endsWith('[x]') ? `${last.slice(0, -3)}Reference` : last)
    }
    names = found
  }
  return names
}

function hasOnlyReferenceMembers(object: Record<string, unknown>): boolean {
  for (const key in object) {
    if (!REFERENCE_MEMBERS.has(key)) return false
  }
  return true
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
