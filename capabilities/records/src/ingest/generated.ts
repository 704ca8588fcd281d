import { AppError, fromUtf8, instantOf, sha256, utf8 } from '@salus/core'
import type { Clock } from '@salus/host'
import type { CustodyStore } from '../custody/custody-store.ts'
import { parseJson, storedText } from '../fhir/index.ts'
import type { ImportedVersion, Ingest } from './ingest.ts'

/** A record that this organisation makes out of others of the same owner. */
export interface GeneratedRecord {
  readonly owner: Uint8Array
  /** `Type/id`. */
  readonly recordId: string
  /** UTF-8 of a resource of that type. */
  readonly json: Uint8Array
}

/**
 * Stores the next version of a generated record in the compartment `emergency`, whatever it says, and where no search
 * finds it. Undefined when it is the version that is held. Throws AppError `NOT_FOUND`, `OWNER_ERASED`, `OTHER_PATIENT`.
 */
export async function storeGenerated(
  { custody, ingest, clock }: { custody: CustodyStore; ingest: Ingest; clock: Clock },
  { owner, recordId, json }: GeneratedRecord,
): Promise<ImportedVersion | undefined> {
  const row = custody.owner(owner)
  if (row === undefined) throw new AppError('NOT_FOUND', 'owner: nothing is held of this patient')
  const [type = '', id = ''] = recordId.split('/')
  const meta = { versionId: '1', lastUpdated: instantOf(clock.now()) }
  const prepared = {
    entry: 0,
    recordId,
    type,
    json: utf8(storedText(parseJson(fromUtf8(json)).exact, { id, meta })),
    source: sha256(json),
    // The write names its owner by row.
    owner: { kind: 'directory' as const },
    compartment: 'emergency' as const,
    codes: [],
    tokens: [],
  }
  const [version] = await ingest.exclusively((write) => write([{ prepared, owner: row }]))
  return version
}
