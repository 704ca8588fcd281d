import {
  AppError,
  bool,
  bytes,
  compareBytes,
  equal,
  fromJson,
  fromUtf8,
  type Infer,
  list,
  object,
  optional,
  sha256,
  text,
  toJson,
  uint,
} from '@salus/core'

/** Largest archive that is read, in characters. */
export const MAX_ARCHIVE_CHARACTERS = 256 * 1024 * 1024
const MAX_VERSIONS = 200_000
const MAX_RECEIPTS = 100_000
const RECORD_ID = /^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64}$/

const versionForm = object('A record version', {
  recordId: text('Type/id', { min: 3, max: 256 }),
  version: uint('From 1'),
  current: bool('Whether it is what a reader gets'),
  deleted: optional(bool('Whether it says that the record was deleted')),
  origin: text('Organisation that made it', { min: 1, max: 64 }),
  oid: bytes('Object at that organisation', { length: 16 }),
  prev: optional(bytes('Digest of the version before', { length: 32 })),
  json: bytes('Stored JSON, byte for byte', { min: 2, max: 8 * 1024 * 1024 }),
  digest: bytes('H(json)', { length: 32 }),
  source: optional(bytes('SHA-256 of the resource as it came to its maker', { length: 32 })),
  salt: optional(bytes('Salt of the leaf of kind 1 in the log of the origin', { length: 32 })),
  leafIndex: optional(uint('Index of that leaf')),
})

const headForm = object('An archive', {
  format: text('salus-archive', { min: 1, max: 32 }),
  v: uint('Form version'),
  chain: bytes('Genesis id of the network', { length: 32 }),
  made: text('When, an instant', { min: 20, max: 40 }),
  versions: list(versionForm, { max: MAX_VERSIONS }),
})

export type ArchiveVersion = Infer<typeof versionForm>

/** Everything of one person from one or several custodians: one file (docs/spec/archive.md). */
export interface Archive extends Infer<typeof headForm> {
  /** Receipt files as JSON, each as `salus verify` takes it. */
  readonly receipts: readonly unknown[]
}

/**
 * The text of an archive. `bundle` repeats the current versions for people and for programs that know FHIR only; a
 * reader of archives ignores it.
 */
export function archiveText(archive: Omit<Archive, 'format' | 'v'>): string {
  const { receipts, ...rest } = archive
  const versions = inOrder(archive.versions)
  const head = toJson(headForm, { ...rest, format: 'salus-archive', v: 1, versions })
  const entries = versions
    .filter(({ current, deleted }) => current && deleted !== true)
    .map(({ origin, recordId, json }) => {
      const fullUrl = JSON.stringify(`urn:salus:${origin}:${recordId.replace('/', ':')}`)
      return `{"fullUrl":${fullUrl},"resource":${fromUtf8(json)}}`
    })
  const bundle = `{"resourceType":"Bundle","type":"collection","entry":[${entries.join(',\n')}]}`
  return `${JSON.stringify(head).slice(0, -1)},"receipts":${JSON.stringify(receipts)},\n"bundle":${bundle}}\n`
}

/**
 * Reads an archive and checks that every version is what its digest says and belongs to its id.
 * Throws AppError `ARCHIVE` (not one, altered, or newer), `SCHEMA`, `TOO_LARGE`.
 */
export function readArchive(content: string): Archive {
  if (content.length > MAX_ARCHIVE_CHARACTERS)
    throw new AppError(
      'TOO_LARGE',
      `archive: may have ${MAX_ARCHIVE_CHARACTERS} characters; export it in parts`,
    )
  let parsed: unknown
  try {
    parsed = JSON.parse(content)
  } catch {
    throw new AppError('ARCHIVE', 'archive: is not JSON; the file is cut off or of another kind')
  }
  const { bundle: _bundle, receipts, ...head } = (parsed ?? {}) as Record<string, unknown>
  if (head['format'] !== 'salus-archive')
    throw new AppError('ARCHIVE', 'format: must be salus-archive; give the file that an export made')
  if (head['v'] !== 1) throw new AppError('ARCHIVE', 'v: only version 1 is known; update this program')
  const archive = fromJson(headForm, head)
  for (const version of archive.versions) checkVersion(version)
  if (!Array.isArray(receipts) || receipts.length > MAX_RECEIPTS)
    throw new AppError('ARCHIVE', `receipts: must be a list of at most ${MAX_RECEIPTS}`)
  return { ...archive, receipts }
}

/**
 * One archive from several, made on the owner's device: each custodian knows its own part only. What two of them hold
 * alike (same record, version, origin and digest) stands once. All must be of one network.
 */
export function mergedArchive(archives: readonly Archive[], made: string): Omit<Archive, 'format' | 'v'> {
  const [first] = archives
  if (first === undefined) throw new AppError('ARCHIVE', 'archives: give at least one')
  if (!archives.every(({ chain }) => equal(chain, first.chain)))
    throw new AppError('ARCHIVE', 'chain: archives of different networks cannot be merged; keep them apart')
  const versions = new Map<string, ArchiveVersion>()
  const receipts = new Map<string, unknown>()
  for (const archive of archives) {
    for (const version of archive.versions) versions.set(versionName(version), version)
    for (const receipt of archive.receipts) receipts.set(JSON.stringify(receipt), receipt)
  }
  return { chain: first.chain, made, versions: [...versions.values()], receipts: [...receipts.values()] }
}

function versionName({ origin, recordId, version, digest }: ArchiveVersion): string {
  return JSON.stringify([origin, recordId, version, digest.join()])
}

function checkVersion({ recordId, version, json, digest }: ArchiveVersion): void {
  const altered = (what: string) =>
    new AppError('ARCHIVE', `versions: ${what}; the file was altered, export it again`, {})
  if (!RECORD_ID.test(recordId) || version < 1) throw altered('a version has no proper id')
  if (!equal(sha256(json), digest)) throw altered('the JSON of a version does not have its digest')
  let resource: { resourceType?: unknown; id?: unknown; meta?: { versionId?: unknown } }
  try {
    resource = JSON.parse(fromUtf8(json)) as typeof resource
  } catch {
    throw altered('the JSON of a version cannot be read')
  }
  if (`${String(resource.resourceType)}/${String(resource.id)}` !== recordId)
    throw altered('the JSON of a version is of another record')
  if (resource.meta?.versionId !== String(version))
    throw altered('the JSON of a version is of another version')
}

/** Records of one origin together, versions rising; the same archive always has the same text. */
function inOrder(versions: readonly ArchiveVersion[]): ArchiveVersion[] {
  const key = ({ origin, recordId }: ArchiveVersion) => `${origin} ${recordId}`
  return [...versions].sort((a, b) => {
    if (key(a) !== key(b)) return key(a) < key(b) ? -1 : 1
    return a.version - b.version || compareBytes(a.digest, b.digest)
  })
}
