import { AppError, toHex } from '@salus/core'
import type { VersionRow } from '../custody/rows.ts'
import type { OwnerKeys } from '../owner-keys.ts'
import { type ErasureParts, removeVersions } from './erasure.ts'
import { markerOf } from './markers.ts'

/**
 * Holds the store against the log's markers and completes what is missing: after a restore of an older backup, and
 * after a crash in the middle of an erasure. Run at every start, before anything is served; a store that is up to date
 * costs one pass over the short leaves. Nothing is logged: the markers are there already.
 * @param leaves every leaf of this organisation's log
 * @returns how many versions were removed and hidden
 */
export async function replayMarkers(
  parts: Omit<ErasureParts, 'retention' | 'receipts' | 'endGrants' | 'summariesGone' | 'ingest' | 'log'>,
  leaves: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ readonly removed: number; readonly restricted: number }> {
  const { custody, index } = parts
  const gone = new Map<string, VersionRow>()
  const hidden = new Map<string, { readonly row: VersionRow; readonly untilMs: number }>()
  for await (const leaf of leaves) {
    const marker = markerOf(leaf)
    const row = marker === undefined ? undefined : custody.version(marker.oid)
    if (marker === undefined || row === undefined) continue
    if (marker.kind === 'tombstone') gone.set(toHex(marker.oid), row)
    else if (row.state === 'live') hidden.set(toHex(marker.oid), { row, untilMs: marker.untilMs })
  }
  for (const oid of gone.keys()) hidden.delete(oid)
  // First, so that nothing that is gone counts as still shown below.
  for (const owner of ownersOf([...gone.values()])) {
    const row = custody.owner(owner)
    const rows = [...gone.values()].filter((each) => toHex(each.owner) === toHex(owner))
    if (row !== undefined) await removeVersions(parts, row, rows)
  }
  for (const { row, untilMs } of hidden.values()) custody.restrict([row.oid], untilMs)
  index.remove(new Set([...hidden.values()].map(({ row }) => row.seq)))
  for (const owner of ownersOf([...hidden.values()].map(({ row }) => row))) {
    const untilMs = Math.max(...[...hidden.values()].map((each) => each.untilMs))
    const stillLive = custody.versions(owner).some(({ state }) => state === 'live')
    if (!stillLive) custody.setStatus(owner, 'restricted', untilMs)
  }
  const left = custody
    .owners()
    .filter(({ owner, status }) => status === 'erased' && hasKeys(parts.keys, owner))
  if (left.length > 0) await parts.keys.destroy(left.map(({ owner }) => owner))
  return { removed: gone.size, restricted: hidden.size }
}

function hasKeys(keys: OwnerKeys, owner: Uint8Array): boolean {
  try {
    keys.custodyKey(owner)
    return true
  } catch (error) {
    if (error instanceof AppError && error.code === 'KEY_GONE') return false
    throw error
  }
}

function ownersOf(rows: readonly VersionRow[]): Uint8Array[] {
  return [...new Map(rows.map(({ owner }) => [toHex(owner), owner])).values()]
}
