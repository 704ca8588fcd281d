import { sha256, utf8 } from '@salus/core'
import {
  type CodeCount,
  clinicalDates,
  danglingReferences,
  directoryOf,
  type FoundResource,
  type LooseResource,
  labelOf,
  type Owner,
  ownerOf,
  parseReference,
  type ResourceCompartment,
  readFile,
  scanFile,
  searchTokens,
  serialise,
  storedText,
  validate,
  walkReferences,
} from '../fhir/index.ts'

import { codesOf } from './codes-of.ts'

/** A file to take in: its name for the report, and its text. */
export interface PrepareInput {
  readonly name: string
  readonly text: string
  /** Written to `meta.lastUpdated`, an instant. */
  readonly lastUpdated: string
}

/** A resource that passed every check and waits for its owner's keys. */
export interface Prepared {
  readonly entry: number
  readonly recordId: string
  readonly type: string
  /** UTF-8 of the stored JSON as version 1. */
  readonly json: Uint8Array
  /** SHA-256 of the resource as it came. */
  readonly source: Uint8Array
  readonly owner: Owner
  /** Of a Provenance, List or Linkage that names no patient: the records it names, by which its owner is found. */
  readonly targets?: readonly string[]
  readonly compartment: ResourceCompartment
  readonly codes: readonly string[]
  readonly fromMs?: number
  readonly toMs?: number
  readonly tokens: readonly string[]
}

/** A resource that does not come in, and why, without repeating any of its values. */
export interface Rejected {
  readonly file: string
  readonly entry: number
  readonly type: string
  readonly id: string
  readonly code: string
  readonly message: string
}

export interface PrepareOutput {
  readonly prepared: readonly Prepared[]
  readonly rejected: readonly Rejected[]
  /** References that lead to nothing inside the file; the store knows whether they lead to something it holds. */
  readonly dangling: readonly { readonly from: string; readonly to: string }[]
  /** Codes that no value set holds: `[system, code, count]`. */
  readonly unheldCodes: readonly (readonly [string, string, number])[]
}

const NAMES_RECORDS: ReadonlySet<string> = new Set(['Provenance', 'List', 'Linkage'])

/**
 * The pure half of an import: parse, resolve, validate, find owner and label, extract search values, and make the
 * JSON that is stored for good. Runs in worker threads; costs most of an import's time.
 */
export function prepare({ name, text, lastUpdated }: PrepareInput): PrepareOutput {
  const directory = directoryOf([scanFile({ name, text })])
  const prepared: Prepared[] = []
  const rejected: Rejected[] = []
  const dangling: { from: string; to: string }[] = []
  const unheld: CodeCount = new Map()
  const owners = new Map<string, Owner>()
  const late: FoundResource[] = []
  for (const found of readFile({ name, text }, directory)) {
    if (found.kind === 'rejection') {
      const { file, entry, type, id, code, message } = found
      rejected.push({ file, entry, type, id, code, message })
      continue
    }
    const issue = validate(found.resource)[0]
    if (issue !== undefined) {
      rejected.push({
        file: name,
        entry: found.entry,
        type: found.type,
        id: found.id,
        code: issue.code,
        message: `${issue.path}: ${issue.message}; ${issue.mend}`,
      })
      continue
    }
    dangling.push(...danglingReferences(found.resource, (target) => directory.has(target)))
    if (NAMES_RECORDS.has(found.type)) late.push(found)
    else prepared.push(prepareOne(found, lastUpdated, unheld, owners))
  }
  // Whose a list is may depend on any other resource of the file.
  for (const found of late) prepared.push(prepareOne(found, lastUpdated, unheld, owners))
  const unheldCodes = [...unheld].flatMap(([system, codes]) =>
    [...codes].map(([code, count]) => [system, code, count] as const),
  )
  return { prepared, rejected, dangling, unheldCodes }
}

/** Prepares one resource that passed validation. `owners` gains its owner. */
export function prepareOne(
  found: Pick<FoundResource, 'entry' | 'type' | 'id' | 'resource' | 'exact'>,
  lastUpdated: string,
  unheld: CodeCount = new Map(),
  owners: Map<string, Owner> = new Map(),
): Prepared {
  const { resource } = found
  const recordId = `${found.type}/${found.id}`
  const owner = ownerOf(resource, (target) => owners.get(target))
  owners.set(recordId, owner)
  const targets =
    owner.kind === 'directory' && NAMES_RECORDS.has(found.type) ? targetsOf(resource) : undefined
  const dates = clinicalDates(resource)
  return {
    entry: found.entry,
    recordId,
    type: found.type,
    json: utf8(storedText(found.exact, { id: found.id, meta: { versionId: '1', lastUpdated } })),
    source: sha256(utf8(serialise(found.exact))),
    owner,
    ...(targets === undefined ? {} : { targets }),
    compartment: labelOf(resource, unheld).compartment,
    codes: codesOf(resource),
    ...(dates === undefined ? {} : { fromMs: wholeMs(dates.startMs), toMs: wholeMs(dates.endMs) }),
    tokens: searchTokens(resource),
  }
}

/** The ends of ECMAScript time stand for an open end, since labels hold whole numbers only. */
const END_OF_TIME_MS = 8_640_000_000_000_000

/** A clinical time as labels hold it. */
export function wholeMs(timeMs: number): number {
  return Math.max(-END_OF_TIME_MS, Math.min(END_OF_TIME_MS, Math.floor(timeMs)))
}

function targetsOf(resource: LooseResource): string[] {
  const targets = new Set<string>()
  for (const { reference } of walkReferences(resource)) {
    const parts = reference === undefined ? undefined : parseReference(reference)
    if (parts !== undefined && parts.base === undefined) targets.add(`${parts.type}/${parts.id}`)
  }
  return [...targets]
}
