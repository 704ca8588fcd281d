import { AppError } from '@salus/core'
import { type ExactJson, LIMITS, parseJson } from './json.ts'
import type { IssueCode } from './types.ts'

export interface SourceFile {
  readonly name: string
  readonly text: string
}

/** `other`: newline-delimited JSON without any resource, such as the log of a bulk export; nothing is found there. */
export type FileForm = 'bundle' | 'resource' | 'ndjson' | 'other' | 'unreadable'

// Bundle types whose entries are resources in their own right. A document, message, history or response is one
// statement made at one time: taking it apart would lose what it says, so it stays one resource.
const UNPACKED: ReadonlySet<string> = new Set(['transaction', 'batch', 'collection', 'searchset'])

/** What a bundle puts around its resources. */
const BUNDLE_LEVELS = 3

/** One thing that is, or should have been, a resource of its own. */
export interface Candidate {
  readonly entry: number
  readonly value: unknown
  readonly exact: ExactJson
  readonly fullUrl: string | undefined
  readonly request: string | undefined
  readonly failure?: { readonly code: IssueCode; readonly message: string }
}

export function candidatesOf(file: SourceFile): { form: FileForm; candidates: Candidate[] } {
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

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
