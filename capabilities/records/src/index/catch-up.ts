import { fromUtf8 } from '@salus/core'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { VersionRow } from '../custody/rows.ts'
import { type LooseResource, searchTokens } from '../fhir/index.ts'
import type { OwnerKeys } from '../owner-keys.ts'
import type { RecordReader } from '../record-reader.ts'
import { type TokenIndex, tokenOf } from './token-index.ts'

const ENTRIES_PER_COMMIT = 500

/**
 * The tokens of a version as the index keeps them; none for what this organisation cannot read or may not show, for
 * deletions, and for generated summaries, which repeat what other records say.
 */
export async function tokensOf(
  row: VersionRow,
  { reader, indexKey }: { readonly reader: RecordReader; readonly indexKey: Uint8Array },
): Promise<number[]> {
  if (row.custodyWrap === undefined || row.state === 'restricted') return []
  const { json, labels } = await reader.open(row)
  if (labels.deleted === true || labels.compartment === 'emergency') return []
  const resource = JSON.parse(fromUtf8(json)) as LooseResource
  return searchTokens(resource).map((token) => tokenOf(indexKey, token))
}

/**
 * Brings the index up to custody: after a crash between the two commits, or from nothing when the index was lost.
 * Run before serving. Returns how many versions it indexed.
 */
export async function catchUpIndex(parts: {
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly reader: RecordReader
  readonly keys: Pick<OwnerKeys, 'indexKey'>
}): Promise<number> {
  const { custody, index, reader, keys } = parts
  let indexed = 0
  for (;;) {
    const rows = custody.versionsAfter(index.indexedTo(), ENTRIES_PER_COMMIT)
    if (rows.length === 0) return indexed
    const entries: { seq: number; tokens: number[] }[] = []
    for (const row of rows) {
      const tokens = await tokensOf(row, { reader, indexKey: keys.indexKey(row.owner) })
      entries.push({ seq: row.seq, tokens })
    }
    index.add(entries)
    indexed += entries.length
  }
}
