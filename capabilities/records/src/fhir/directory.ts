import type { FileScan } from './files.ts'
import type { LooseResource } from './types.ts'

/** Resolves a reference as written (`urn:uuid:…`, `Practitioner?identifier=…`, a fullUrl) to `Type/id`. */
export interface Directory {
  /** Looks in the given file first, then in all. Undefined where nothing, or more than one thing, has that name. */
  resolve(file: string, reference: string): string | undefined
  has(typeAndId: string): boolean
}

const AMBIGUOUS = ''

/** One directory over the scans of all files of an import. */
export function directoryOf(scans: Iterable<FileScan>): Directory {
  const known = new Set<string>()
  const shared = new Map<string, string>()
  const local = new Map<string, Map<string, string>>()
  for (const scan of scans) {
    const own = new Map<string, string>()
    local.set(scan.name, own)
    for (const item of scan.found) {
      const target = `${item.type}/${item.id}`
      known.add(target)
      for (const name of item.local) {
        own.set(name, target)
        if (name.startsWith('urn:') || name.includes('://')) add(shared, name, target)
      }
      for (const name of item.names) add(shared, name, target)
    }
  }
  return {
    resolve(file, reference) {
      if (reference.startsWith('#')) return undefined
      const target = local.get(file)?.get(reference) ?? shared.get(normalised(reference))
      return target === AMBIGUOUS ? undefined : target
    },
    has: (typeAndId) => known.has(typeAndId),
  }
}

function add(names: Map<string, string>, name: string, target: string): void {
  const before = names.get(name)
  names.set(name, before === undefined || before === target ? target : AMBIGUOUS)
}

/** The conditional references that lead to this resource. */
export function identifierNames(resource: LooseResource): string[] {
  const identifiers: unknown = resource['identifier']
  const names: string[] = []
  for (const item of Array.isArray(identifiers) ? identifiers : []) {
    const { system, value } = (item ?? {}) as { system?: unknown; value?: unknown }
    if (typeof value !== 'string') continue
    names.push(`${resource.resourceType}?identifier=${value}`)
    if (typeof system === 'string') names.push(`${resource.resourceType}?identifier=${system}|${value}`)
  }
  return names
}

function normalised(reference: string): string {
  if (!reference.includes('?') || !reference.includes('%')) return reference
  try {
    return decodeURIComponent(reference)
  } catch {
    return reference
  }
}
