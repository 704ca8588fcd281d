import type { ExactJson } from './json.ts'
import type { Issue, LooseResource } from './types.ts'

export interface SourceFile {
  readonly name: string
  readonly text: string
}

/** What a first pass over a file found: identities, so that references can be resolved over all files. */
export interface FileScan {
  readonly name: string
  readonly form: 'bundle' | 'resource' | 'ndjson' | 'unreadable'
  readonly found: readonly { readonly entry: number; readonly type: string; readonly id: string; readonly names: readonly string[] }[]
}

/** Resolves a reference as written (`urn:uuid:…`, `Practitioner?identifier=…`, a fullUrl) to `Type/id`. */
export interface Directory {
  /** Looks in the given file first, then in all. Undefined where nothing of that name was found. */
  resolve(file: string, reference: string): string | undefined
  has(typeAndId: string): boolean
}

export interface FoundResource {
  readonly kind: 'resource'
  readonly file: string
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
  readonly code: Issue['code']
  readonly message: string
}

export interface Dangling {
  readonly from: string
  readonly to: string
}

/** First pass: identities of everything in the file. Never throws for bad content. */
export declare function scanFile(file: SourceFile): FileScan
export declare function directoryOf(scans: Iterable<FileScan>): Directory
/** Second pass: every resource of the file, once, as found or rejected. */
export declare function readFile(file: SourceFile, directory: Directory): Iterable<FoundResource | Rejection>
/** References of a resource that lead to nothing known. */
export declare function danglingReferences(resource: LooseResource, has: (typeAndId: string) => boolean): Dangling[]
