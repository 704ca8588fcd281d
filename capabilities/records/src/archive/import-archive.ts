import { equal, fromUtf8, toHex } from '@salus/core'
import type { OwnerRow } from '../custody/rows.ts'
import { clinicalDates, type LooseResource, labelOf, searchTokens, validate } from '../fhir/index.ts'
import { codesOf } from '../ingest/codes-of.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { wholeMs } from '../ingest/prepare.ts'
import { type Arrival, type VersionWriterParts, writeVersions } from '../ingest/version-writer.ts'
import { ridOf } from '../owner-keys.ts'
import { openLabels } from '../sealed-labels.ts'
import { type Archive, type ArchiveVersion, readArchive } from './archive-format.ts'
import { keepReceipts } from './kept-receipts.ts'

export interface ArchiveImportParts extends VersionWriterParts {
  readonly org: string
  readonly ridKey: Uint8Array
  readonly ingest: Ingest
}

export interface ArchiveReport {
  readonly imported: number
  readonly unchanged: number
  readonly receipts: number
  readonly rejected: readonly { readonly recordId: string; readonly version: number; readonly code: string }[]
  readonly origins: readonly string[]
}

/**
 * Takes an owner's archive in: each version with the same JSON bytes and digest, under its id and number, with its
 * origin named in custody. Repeating it changes nothing. All or nothing, but for versions that R4 does not allow, which
 * are named. Throws AppError `ARCHIVE`, `SCHEMA`, `TOO_LARGE`.
 */
export async function importArchive(
  parts: ArchiveImportParts,
  owner: OwnerRow,
  content: string,
): Promise<ArchiveReport> {
  const archive = readArchive(content)
  return parts.ingest.exclusively(async () => {
    await parts.keys.ensure([owner.owner])
    const arrivals: Arrival[] = []
    const rejected: { recordId: string; version: number; code: string }[] = []
    let unchanged = 0
    const taken = new Map<string, string>()
    for (const group of recordsOf(archive)) {
      const place = placeOf(parts, owner, group, taken)
      const newest = Math.max(...group.map(({ version }) => version))
      for (const version of group) {
        taken.set(`${toHex(place)} ${version.version}`, factOf(version))
        if (heldFact(parts, place, version.version) !== undefined) {
          unchanged += 1
          continue
        }
        const arrival = arrivalOf(version, {
          owner,
          rid: place,
          org: parts.org,
          isNewest: version.version === newest,
        })
        if (typeof arrival === 'string')
          rejected.push({ recordId: version.recordId, version: version.version, code: arrival })
        else arrivals.push(arrival)
      }
    }
    if (arrivals.length > 0) await writeVersions(parts, arrivals)
    findByPatient(parts, owner, archive)
    const key = parts.keys.custodyKey(owner.owner)
    const receipts = keepReceipts(owner.owner, archive.receipts, {
      custody: parts.custody,
      key,
      random: parts.random,
    })
    const origins = [...new Set(archive.versions.map(({ origin }) => origin))].sort()
    return { imported: arrivals.length + unchanged, unchanged, receipts, rejected, origins }
  })
}

/**
 * An owner who came here without a record (a link of her own, no Patient yet) is found by her first Patient from now
 * on, so that searches that name it find her records. An id that leads to somebody else here stays theirs.
 */
function findByPatient(
  { custody, ridKey }: ArchiveImportParts,
  owner: OwnerRow,
  { versions }: Archive,
): void {
  const names = [...new Set(versions.map(({ recordId }) => recordId))].filter((name) =>
    name.startsWith('Patient/'),
  )
  const rids = names.map((name) => ridOf(ridKey, name))
  if (rids.some((rid) => equal(rid, owner.rid)) || custody.versionByRid(owner.rid) !== undefined) return
  const free = rids.find((rid) => custody.ownerByRid(rid) === undefined)
  if (free !== undefined) custody.setOwnerRid(owner.owner, free)
}

/** The versions of each record of each origin, rising. */
function recordsOf(archive: Archive): ArchiveVersion[][] {
  const groups = new Map<string, ArchiveVersion[]>()
  for (const version of archive.versions) {
    const name = `${version.origin} ${version.recordId}`
    const group = groups.get(name) ?? []
    group.push(version)
    groups.set(name, group)
  }
  return [...groups.values()].map((group) => group.sort((a, b) => a.version - b.version))
}

/**
 * Under which token a record is filed: that of its id, unless another record has that id here — of another patient, or
 * made by another organisation. Then that of its id and origin: both are hers, and both are found.
 */
function placeOf(
  parts: ArchiveImportParts,
  owner: OwnerRow,
  group: readonly ArchiveVersion[],
  taken: ReadonlyMap<string, string>,
): Uint8Array {
  const [{ recordId, origin }] = group as [ArchiveVersion]
  const plain = ridOf(parts.ridKey, recordId)
  const held = parts.custody.latestByRid(plain)
  const isFree =
    (held === undefined || equal(held.owner, owner.owner)) &&
    group.every((version) => {
      const here = heldFact(parts, plain, version.version) ?? taken.get(`${toHex(plain)} ${version.version}`)
      return here === undefined || here === factOf(version)
    })
  return isFree ? plain : ridOf(parts.ridKey, `${origin} ${recordId}`)
}

/** Two versions are one only with the same maker: each has a leaf of its own in its maker's log. */
function factOf({ origin, digest }: Pick<ArchiveVersion, 'origin' | 'digest'>): string {
  return `${origin} ${toHex(digest)}`
}

function heldFact(
  { custody, keys, org }: ArchiveImportParts,
  rid: Uint8Array,
  version: number,
): string | undefined {
  const row = custody.versionByRid(rid, version)
  if (row === undefined) return undefined
  const { origin = org, digest } = openLabels(row.sealed, { key: keys.custodyKey(row.owner), oid: row.oid })
  return factOf({ origin, digest })
}

/** The version as it is filed here; the code of the first issue where R4 does not allow it. */
function arrivalOf(
  version: ArchiveVersion,
  { owner, rid, org, isNewest }: { owner: OwnerRow; rid: Uint8Array; org: string; isNewest: boolean },
): Arrival | string {
  const { recordId, json, digest, origin, deleted, salt, oid, leafIndex } = version
  const resource = JSON.parse(fromUtf8(json)) as LooseResource
  const issue = deleted === true ? undefined : validate(resource)[0]
  if (issue !== undefined) return issue.code
  const dates = clinicalDates(resource)
  const isForeign = origin !== org
  return {
    owner,
    rid,
    recordId,
    version: version.version,
    prev: version.prev,
    json,
    digest,
    current: isNewest && deleted !== true,
    labels: {
      type: resource.resourceType,
      compartment: labelOf(resource).compartment,
      codes: codesOf(resource),
      ...(dates === undefined ? {} : { fromMs: wholeMs(dates.startMs), toMs: wholeMs(dates.endMs) }),
      source: version.source ?? digest,
      ...(deleted === true ? { deleted: true } : {}),
      ...(isForeign ? { origin, originOid: oid } : {}),
      ...(isForeign && salt !== undefined ? { originSalt: salt } : {}),
      ...(isForeign && leafIndex !== undefined ? { originLeaf: leafIndex } : {}),
    },
    tokens: isNewest && deleted !== true ? searchTokens(resource) : [],
  }
}
