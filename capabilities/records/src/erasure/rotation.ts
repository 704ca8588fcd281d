import { type Random, readHeader, wrapKey } from '@salus/core'
import { resealReceipts } from '../archive/kept-receipts.ts'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { VersionRow } from '../custody/rows.ts'
import { tokensOf } from '../index/catch-up.ts'
import type { TokenIndex } from '../index/token-index.ts'
import type { OwnerKeyPair, OwnerKeys } from '../owner-keys.ts'
import type { RecordReader } from '../record-reader.ts'
import { openLabels, sealLabels } from '../sealed-labels.ts'

export interface RotationParts {
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly keys: OwnerKeys
  readonly reader: RecordReader
  readonly random: Random
}

/**
 * Puts an owner's remaining rows under new custody and index keys (protocol §7): wraps, labels with their salts, and
 * tokens are made again, so that what deleted pages still hold opens to nothing once the old keys are gone. The caller
 * holds the writer's turn.
 */
export async function rotateOwnerKeys(parts: RotationParts, owner: Uint8Array): Promise<void> {
  const { custody, keys } = parts
  const next = await keys.beginRotation(owner)
  const rows = custody.versions(owner)
  const [first] = rows
  if (first !== undefined && !isUnder(first, next)) {
    const remade: Remade[] = []
    for (const row of rows) remade.push(await remake(parts, row, next))
    // Rows, tokens and the change of keys happen in one go: no reader comes between them.
    custody.sql.transaction(() => {
      for (const { row, custodyWrap, sealed } of remade) custody.setCustody(row.oid, { custodyWrap, sealed })
      resealReceipts(owner, {
        custody,
        from: keys.custodyKey(owner),
        to: next.custodyKey,
        random: parts.random,
      })
    })
    parts.index.remove(new Set(rows.map(({ seq }) => seq)))
    parts.index.add(remade.map(({ row, tokens }) => ({ seq: row.seq, tokens })))
    const finished = keys.finishRotation(owner)
    parts.reader.forget()
    await finished
    return
  }
  await keys.finishRotation(owner)
  parts.reader.forget()
  await remakeTokens(parts, rows)
}

/** Completes rotations that a crash interrupted. Before serving, and before `catchUpIndex`. */
export async function resumeRotations(parts: RotationParts): Promise<number> {
  const owners = parts.keys.rotating()
  for (const owner of owners) await rotateOwnerKeys(parts, owner)
  return owners.length
}

interface Remade {
  readonly row: VersionRow
  readonly sealed: Uint8Array
  readonly custodyWrap: Uint8Array | undefined
  readonly tokens: readonly number[]
}

async function remake(
  { reader, random }: RotationParts,
  row: VersionRow,
  next: OwnerKeyPair,
): Promise<Remade> {
  const labels = reader.labels(row)
  const sealed = sealLabels(labels, { key: next.custodyKey, oid: row.oid, random })
  if (row.custodyWrap === undefined) return { row, sealed, custodyWrap: undefined, tokens: [] }
  const { dek, object } = await reader.dataKey(row)
  const { headerHash } = readHeader(object)
  const custodyWrap = wrapKey({ kek: next.custodyKey, dek, oid: row.oid, headerHash, use: 'custody', random })
  const tokens = await tokensOf(row, { reader, indexKey: next.indexKey })
  return { row, sealed, custodyWrap, tokens }
}

async function remakeTokens(
  { index, keys, reader }: RotationParts,
  rows: readonly VersionRow[],
): Promise<void> {
  const entries: { seq: number; tokens: number[] }[] = []
  for (const row of rows) {
    entries.push({
      seq: row.seq,
      tokens: await tokensOf(row, { reader, indexKey: keys.indexKey(row.owner) }),
    })
  }
  index.remove(new Set(rows.map(({ seq }) => seq)))
  index.add(entries)
}

/** Whether the row was made under the next pair already: a crash came after the rows and before the end. */
function isUnder(row: VersionRow, { custodyKey }: OwnerKeyPair): boolean {
  try {
    openLabels(row.sealed, { key: custodyKey, oid: row.oid })
    return true
  } catch {
    return false
  }
}
