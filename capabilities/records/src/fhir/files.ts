import { AppError, hash, toHex } from '@salus/core'
import { RESOURCE_TYPES } from './definitions.ts'
import { type Directory, identifierNames } from './directory.ts'
import { type ExactJson, LIMITS, parseJson, serialise } from './json.ts'
import { parseReference, walkReferences } from './references.ts'
import type { IssueCode, LooseResource } from './types.ts'

export interface SourceFile {
  readonly name: string
  readonly text: string
}

/** What a first pass over a file found: identities, so that references can be resolved over all files. */
export interface FileScan {
  readonly name: string
  readonly form: FileForm
  readonly found: readonly Identity[]
}

/** `other`: newline-delimited JSON without any resource, such as the log of a bulk export; nothing is found there. */
export type FileForm = 'bundle' | 'resource' | 'ndjson' | 'other' | 'unreadable'

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

// Bundle types whose entries are resources in their own right. A document, message, history or response is one
// statement made at one time: taking it apart would lose what it says, so it stays one resource.
const UNPACKED: ReadonlySet<string> = new Set(['transaction', 'batch', 'collection', 'searchset'])

const ID = /^[A-Za-z0-9\-.]{1,64}$/
const BUNDLE_LEVELS = 3
/** Longest text that can stand where a type or an id belongs and is repeated in a report. */
const REPORTED_CHARACTERS = 64

/** Whether a file of this name is meant to be read; licences and notes that begin with `_` or `.` are not. */
export function isSourceName(name: string): boolean {
  const base = name.split('/').at(-1) ?? ''
  return /\.(json|ndjson|jsonl)$/i.test(base) && !/^[._]/.test(base)
}

interface Candidate {
  readonly entry: number
  readonly value: unknown
  readonly exact: ExactJson
  readonly fullUrl: string | undefined
  readonly request: string | undefined
  readonly failure?: { readonly code: IssueCode; readonly message: string }
}

interface Identified extends Candidate {
  readonly type: string
  readonly id: string
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

function candidatesOf(file: SourceFile): { form: FileForm; candidates: Candidate[] } {
  const text = file.text.charCodeAt(0) === 0xfeff ? file.text.slice(1) : file.text
  if (/\.(ndjson|jsonl)$/i.test(file.name)) return linesOf(text)
  let parsed: ReturnType<typeof parseJson>
  try {
    parsed = parseJson(text, { characters: LIMITS.fileCharacters, depth: LIMITS.depth + BUNDLE_LEVELS })
  } catch (error) {
    return { form: 'unreadable', candidates: [failed(0, error)] }
  }
  const bundle = parsed.value as { resourceType?: unknown; type?: unknown; entry?: unknown } | null
  const unpack =
    bundle?.resourceType === 'Bundle' && typeof bundle.type === 'string' && UNPACKED.has(bundle.type)
  if (!unpack) return { form: 'resource', candidates: [candidate(0, parsed.value, parsed.exact)] }
  const exactEntries = (parsed.exact as { entry?: unknown }).entry
  const candidates: Candidate[] = []
  for (const [index, entry] of asList(bundle.entry).entries()) {
    const { resource, fullUrl, request } = (entry ?? {}) as {
      resource?: unknown
      fullUrl?: unknown
      request?: { method?: unknown; url?: unknown }
    }
    if (resource === undefined) continue
    const exact = (asList(exactEntries)[index] as { resource?: unknown } | null)?.resource
    candidates.push({
      entry: index,
      value: resource,
      exact,
      fullUrl: typeof fullUrl === 'string' ? fullUrl : undefined,
      request: request ? `${String(request.method)} ${String(request.url)}` : undefined,
    })
  }
  return { form: 'bundle', candidates }
}

function linesOf(text: string): { form: FileForm; candidates: Candidate[] } {
  const candidates: Candidate[] = []
  let entry = -1
  for (const line of text.split('\n')) {
    entry++
    if (line.trim() === '') continue
    try {
      const { value, exact } = parseJson(line)
      candidates.push(candidate(entry, value, exact))
    } catch (error) {
      candidates.push(failed(entry, error))
    }
  }
  // Bulk exports put a log of their own beside the data, in the same format.
  const other = candidates.every(
    (c) => !c.failure && isPlainObject(c.value) && !('resourceType' in (c.value as object)),
  )
  return other ? { form: 'other', candidates: [] } : { form: 'ndjson', candidates }
}

function candidate(entry: number, value: unknown, exact: ExactJson): Candidate {
  return { entry, value, exact, fullUrl: undefined, request: undefined }
}

function failed(entry: number, error: unknown): Candidate {
  if (!(error instanceof AppError)) throw error
  return {
    ...candidate(entry, undefined, undefined),
    failure: { code: error.code as IssueCode, message: error.message },
  }
}

/** Gives each candidate its type and id, or the reason why it has none. */
function identified(candidates: readonly Candidate[]): Identified[] {
  const out: Identified[] = []
  const taken = new Map<string, Identified>()
  for (const item of candidates) {
    const named = identify(item)
    const clash = named.failure ? undefined : taken.get(`${named.type}/${named.id}`)
    if (!clash) {
      if (!named.failure) taken.set(`${named.type}/${named.id}`, named)
      out.push(named)
      continue
    }
    // Two entries of one id: the bundle's own name tells them apart, where it has one.
    const other = uuidOf(item.fullUrl)
    const free = other !== undefined && other !== named.id && !taken.has(`${named.type}/${other}`)
    const again: Identified = free
      ? { ...named, id: other }
      : serialise(clash.exact) === serialise(item.exact)
        ? named
        : {
            ...named,
            failure: {
              code: 'DUPLICATE_ID',
              message:
                'An earlier entry of this file has the same type and id but other content. Give each its own id.',
            },
          }
    if (!again.failure) taken.set(`${again.type}/${again.id}`, again)
    out.push(again)
  }
  return out
}

function identify(item: Candidate): Identified {
  const failure = (code: IssueCode, message: string, type = '', id = ''): Identified => ({
    ...item,
    type: type.slice(0, REPORTED_CHARACTERS),
    id: id.slice(0, REPORTED_CHARACTERS),
    failure: { code, message },
  })
  if (item.failure) return { ...item, type: '', id: '' }
  if (!isPlainObject(item.value))
    return failure('NOT_A_RESOURCE', 'This is not a JSON object. Give a FHIR resource.')
  const { resourceType: type, id } = item.value as { resourceType?: unknown; id?: unknown }
  if (typeof type !== 'string')
    return failure('NOT_A_RESOURCE', 'resourceType is missing. Name the type of the resource.')
  const shownId = typeof id === 'string' && ID.test(id) ? id : ''
  if (!RESOURCE_TYPES.has(type)) {
    // A type is repeated only when it looks like one: anything may stand there.
    const shown = /^[A-Za-z]{1,64}$/.test(type) ? type : ''
    return failure(
      'UNKNOWN_TYPE',
      'FHIR R4 (4.0.1) has no resource of this type. Use a type of R4, spelled as there.',
      shown,
      shownId,
    )
  }
  if (item.request !== undefined && /^PATCH | [^ ]*\$/.test(item.request)) {
    return failure(
      'NOT_A_RECORD',
      'This is the input of an operation or a patch, not a record. Send it to the API.',
      type,
      shownId,
    )
  }
  if (id === undefined)
    return {
      ...item,
      type,
      id: uuidOf(item.fullUrl) ?? urlIdOf(item.fullUrl, type) ?? contentId(type, item.exact),
    }
  if (shownId !== '') return { ...item, type, id: shownId }
  const uuid = uuidOf(item.fullUrl)
  return uuid === undefined
    ? failure('INVALID_ID', 'The id is not a FHIR id. Use 1 to 64 of A–Z, a–z, 0–9, - and .', type)
    : { ...item, type, id: uuid }
}

function uuidOf(fullUrl: string | undefined): string | undefined {
  const uuid = fullUrl?.startsWith('urn:uuid:') ? fullUrl.slice('urn:uuid:'.length) : undefined
  return uuid !== undefined && ID.test(uuid) ? uuid : undefined
}

function urlIdOf(fullUrl: string | undefined, type: string): string | undefined {
  const parts = fullUrl === undefined ? undefined : parseReference(fullUrl)
  return parts?.type === type ? parts.id : undefined
}

/** An id for what has none: from the content, so that a second import finds the same record. */
function contentId(type: string, exact: ExactJson): string {
  return toHex(hash('salus/import-id/v1', type, serialise(exact)).subarray(0, 16))
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

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
