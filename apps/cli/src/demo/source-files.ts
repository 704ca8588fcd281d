import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { AppError } from '@salus/core'
import {
  danglingReferences,
  directoryOf,
  type FoundResource,
  isSourceName,
  type Owner,
  ownerOf,
  type Rejection,
  readFile,
  type SourceFile,
  scanFile,
  serialise,
} from '@salus/records/fhir'

/** A resource of the files, with whose it is. */
export interface SourcedResource {
  readonly file: string
  readonly entry: number
  readonly type: string
  readonly id: string
  readonly recordId: string
  readonly resource: FoundResource['resource']
  /** JSON text with references resolved and numbers as they came. */
  readonly text: string
  readonly owner: Owner
}

export interface Source {
  readonly resources: readonly SourcedResource[]
  readonly rejected: readonly Omit<Rejection, 'kind' | 'message'>[]
  readonly dangling: readonly { readonly from: string; readonly to: string }[]
  /** Resources found in the files: those here and those rejected. */
  readonly found: number
}

/** Reads every FHIR file below a directory: transaction, batch and collection bundles, single resources, ndjson. */
export function readSource(dir: string, onProgress: (done: number, total: number) => void): Source {
  const names = filesBelow(dir)
  if (names.length === 0)
    throw new AppError(
      'NO_FILES',
      `--bundles: ${dir} holds no .json or .ndjson files; name a directory of FHIR R4 files`,
    )
  const load = (name: string): SourceFile => ({ name, text: readFileSync(join(dir, name), 'utf8') })
  // Two passes, so that a reference may lead to another file; texts are read twice rather than all kept.
  const directory = directoryOf(names.map((name) => scanFile(load(name))))
  const resources: SourcedResource[] = []
  const rejected: Omit<Rejection, 'kind' | 'message'>[] = []
  const dangling: { from: string; to: string }[] = []
  const owners = new Map<string, Owner>()
  const found: FoundResource[] = []
  for (const [at, name] of names.entries()) {
    for (const one of readFile(load(name), directory)) {
      if (one.kind === 'rejection') {
        const { file, entry, type, id, code } = one
        rejected.push({ file, entry, type, id, code })
        continue
      }
      found.push(one)
      owners.set(`${one.type}/${one.id}`, ownerOf(one.resource))
    }
    onProgress(at + 1, names.length)
  }
  for (const one of found) {
    const recordId = `${one.type}/${one.id}`
    resources.push({
      file: one.file,
      entry: one.entry,
      type: one.type,
      id: one.id,
      recordId,
      resource: one.resource,
      text: serialise(one.exact),
      owner: ownerOf(one.resource, (target) => owners.get(target)),
    })
    dangling.push(...danglingReferences(one.resource, (target) => directory.has(target)))
  }
  return { resources, rejected, dangling, found: resources.length + rejected.length }
}

function filesBelow(dir: string): string[] {
  const names: string[] = []
  const walk = (path: string): void => {
    for (const entry of readdirSync(path).sort()) {
      const full = join(path, entry)
      if (statSync(full).isDirectory()) walk(full)
      else if (isSourceName(entry)) names.push(relative(dir, full))
    }
  }
  try {
    walk(dir)
  } catch (cause) {
    throw new AppError(
      'NO_FILES',
      `--bundles: ${dir} cannot be read; name a directory of FHIR R4 files`,
      {},
      { cause },
    )
  }
  return names
}
