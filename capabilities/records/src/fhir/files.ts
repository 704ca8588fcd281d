import { type Directory, identifierNames } from './directory.ts'
import { candidatesOf, type FileForm, type SourceFile } from './file-entries.ts'
import { identified } from './identity.ts'
import type { ExactJson } from './json.ts'
import { parseReference, walkReferences } from './references.ts'
import type { IssueCode, LooseResource } from './types.ts'

/** What a first pass over a file found: identities, so that references can be resolved over all files. */
export interface FileScan {
  readonly name: string
  readonly form: FileForm
  readonly found: readonly Identity[]
}

export interface Identity {
  readonly entry: number
  readonly type: string
  readonly id: string
  /** Names that only this file may use: fullUrls, and what they make of a relative reference. */
  readonly local: readonly string[]
  /** Names for all files: `Type?identifier=system|value`. */
  readonly names: readonly string[]
}

export interface FoundResource {
  readonly kind: 'resource'
  readonly file: string
  /** Position of the bundle's entry or of the line, from 0. */
  readonly entry: number
  readonly type: string
  readonly id: string
  /** Plain values with references rewritten to `Type/id` and `id` set. */
  readonly resource: LooseResource
  /** Hand this to `storedText`. */
  readonly exact: ExactJson
}

export interface Rejection {
  readonly kind: 'rejection'
  readonly file: string
  readonly entry: number
  readonly type: string
  readonly id: string
  readonly code: IssueCode
  readonly message: string
}

export interface Dangling {
  readonly from: string
  readonly to: string
}

/** Whether a file of this name is meant to be read; licences and notes that begin with `_` or `.` are not. */
export function isSourceName(name: string): boolean {
  const base = name.split('/').at(-1) ?? ''
  return /\.(json|ndjson|jsonl)$/i.test(base) && !/^[._]/.test(base)
}

/** First pass: identities of everything in the file. Never throws for bad content. */
export function scanFile(file: SourceFile): FileScan {
  const { form, candidates } = candidatesOf(file)
  const found: Identity[] = []
  for (const item of identified(candidates)) {
    if (item.failure) continue
    const own = `${item.type}/${item.id}`
    const relative = item.fullUrl ? parseReference(item.fullUrl) : undefined
    const local = item.fullUrl ? [item.fullUrl] : []
    if (relative && `${relative.type}/${relative.id}` !== own) local.push(`${relative.type}/${relative.id}`)
    found.push({
      entry: item.entry,
      type: item.type,
      id: item.id,
      local,
      names: identifierNames(item.value as LooseResource),
    })
  }
  return { name: file.name, form, found }
}

/** Second pass: every resource of the file, once, as found or rejected. */
export function* readFile(
  file: SourceFile,
  directory: Directory,
): Generator<FoundResource | Rejection, void, undefined> {
  for (const item of identified(candidatesOf(file).candidates)) {
    if (item.failure) {
      yield {
        kind: 'rejection',
        file: file.name,
        entry: item.entry,
        type: item.type,
        id: item.id,
        ...item.failure,
      }
      continue
    }
    const resource = item.value as Record<string, unknown>
    resource['id'] = item.id
    rewrite(item.value, file.name, directory)
    if (item.exact !== item.value) rewrite(item.exact, file.name, directory)
    yield {
      kind: 'resource',
      file: file.name,
      entry: item.entry,
      type: item.type,
      id: item.id,
      resource: resource as unknown as LooseResource,
      exact: item.exact,
    }
  }
}

/** References of a resource that lead to nothing known. Fragments, and references by identifier only, lead nowhere to look. */
export function danglingReferences(resource: LooseResource, has: (typeAndId: string) => boolean): Dangling[] {
  const from = `${resource.resourceType}/${resource.id ?? ''}`
  const missing = new Set<string>()
  for (const { reference } of walkReferences(resource)) {
    if (reference === undefined || reference.startsWith('#')) continue
    const parts = parseReference(reference)
    if (!(parts && parts.base === undefined && has(`${parts.type}/${parts.id}`))) missing.add(reference)
  }
  return [...missing].map((to) => ({ from, to }))
}

/** Rewrites `reference` members that the directory knows; other links (urls in texts, canonicals) stay as they are. */
function rewrite(node: unknown, file: string, directory: Directory): void {
  if (Array.isArray(node)) {
    for (const item of node) rewrite(item, file, directory)
    return
  }
  if (typeof node !== 'object' || node === null) return
  const object = node as Record<string, unknown>
  for (const key in object) {
    const value = object[key]
    if (key === 'reference' && typeof value === 'string') {
      const target = directory.resolve(file, value)
      if (target !== undefined) object[key] = target
    } else if (typeof value === 'object' && value !== null) {
      rewrite(value, file, directory)
    }
  }
}
