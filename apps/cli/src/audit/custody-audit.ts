import { existsSync } from 'node:fs'
import { readHeader, toHex } from '@salus/core'
import type { Disk, Sql } from '@salus/host'
import { readSql } from '@salus/host/system'
import { auditVault, type Found } from '@salus/vault'
import type { Findings } from './finding.ts'
import { LAYOUT } from './layout.ts'

interface VersionRow {
  readonly oid: Uint8Array
  readonly rid: Uint8Array
  readonly version: number
  readonly address: Uint8Array
  readonly leafIndex: number
  readonly current: number
}

/** What custody says it holds, read before the vault and the log, which a running node writes first. */
export interface CustodyRows {
  readonly versions: readonly VersionRow[]
  readonly tombstones: readonly Uint8Array[]
  /** Highest leaf that any row points to, and the table that does. */
  readonly leaves: readonly { readonly table: string; readonly leafIndex: number }[]
}

/** Custody of an organisation that never took a record. */
export const NOTHING_TAKEN: CustodyRows = { versions: [], tombstones: [], leaves: [] }

export const RESTORE_CUSTODY = 'restore custody.sqlite from a backup that is as new as the log'
const RESTORE_OBJECT = 'restore the object from a replica or a backup of the vault'
const SHOWN_MAX = 50

/** Reads custody without changing it. Undefined when it cannot be read; then that is a finding. */
export function readCustody(folder: string, found: Findings): CustodyRows | undefined {
  const path = `${folder}/${LAYOUT.custody}`
  // Opening a file that is not there would make it.
  if (!existsSync(path)) return NOTHING_TAKEN
  try {
    const sql = readSql(path)
    try {
      return rowsOf(sql, found)
    } finally {
      sql.close()
    }
  } catch (error) {
    found.add(
      LAYOUT.custody,
      `SQLite cannot read it (${error instanceof Error ? error.message : error})`,
      RESTORE_CUSTODY,
    )
    return undefined
  }
}

function rowsOf(sql: Sql, found: Findings): CustodyRows {
  checkIntegrity(sql, LAYOUT.custody, found, RESTORE_CUSTODY)
  const tables = sql
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all<{ name: string }>()
    .map(({ name }) => name)
  const versions = tables.includes('records_version')
    ? sql
        .prepare('SELECT oid, rid, version, address, leafIndex, current FROM records_version ORDER BY seq')
        .all<VersionRow & Record<string, Uint8Array | number>>()
    : []
  const tombstones = tables.includes('records_tombstone')
    ? sql
        .prepare('SELECT oid FROM records_tombstone')
        .all<{ oid: Uint8Array }>()
        .map(({ oid }) => oid)
    : []
  const leaves = tables.flatMap((table) => {
    const columns = sql.prepare(`PRAGMA table_info("${table}")`).all<{ name: string }>()
    if (!columns.some(({ name }) => name === 'leafIndex')) return []
    return sql
      .prepare(`SELECT leafIndex FROM "${table}" WHERE leafIndex IS NOT NULL`)
      .all<{ leafIndex: number }>()
      .map(({ leafIndex }) => ({ table, leafIndex }))
  })
  return { versions, tombstones, leaves }
}

function checkIntegrity(sql: Sql, file: string, found: Findings, mend: string): void {
  for (const row of sql.prepare('PRAGMA integrity_check(10)').all()) {
    const [what] = Object.values(row)
    if (what !== 'ok') found.add(file, `SQLite: ${String(what)}`, mend)
  }
}

/** The search index holds nothing that cannot be built again; only its soundness is looked at. */
export function auditIndex(folder: string, found: Findings): void {
  const path = `${folder}/${LAYOUT.index}`
  if (!existsSync(path)) return
  const mend = `remove ${LAYOUT.index}; the next start builds it again`
  try {
    const sql = readSql(path)
    try {
      checkIntegrity(sql, LAYOUT.index, found, mend)
    } finally {
      sql.close()
    }
  } catch (error) {
    found.add(LAYOUT.index, `SQLite cannot read it (${error instanceof Error ? error.message : error})`, mend)
  }
}

/** Every object of the vault, and every row of custody against it. */
export async function auditObjects(
  disk: Disk,
  rows: CustodyRows | undefined,
  found: Findings,
): Promise<{ readonly objects: number; readonly bytes: number }> {
  const tombstoned = new Set(rows?.tombstones.map(toHex))
  const wanted = new Set(rows?.versions.map(({ address }) => toHex(address)))
  const held = new Map<string, { readonly oid: string | undefined; readonly at: Found }>()
  const vault = await auditVault({
    disk,
    path: LAYOUT.vault,
    onObject: (address, bytes, at) => {
      const oid = oidOf(bytes)
      held.set(toHex(address), { oid, at })
      if (oid !== undefined && tombstoned.has(oid))
        found.add(
          `${at.file}, offset ${at.offset}`,
          `object ${oid} was erased and is still there`,
          'start the node: it completes erasures; then audit again',
        )
    },
  })
  for (const { file, offset, address, what } of vault.damage)
    found.add(
      `${file}, offset ${offset}`,
      `${address === undefined ? '' : `object ${address}: `}${what}`,
      RESTORE_OBJECT,
    )
  for (const { file, offset, what } of vault.unfinished) found.note(`${file}, offset ${offset}: ${what}`)
  if (rows === undefined) return vault
  const named = new Set(vault.damage.map(({ address }) => address))
  let shown = 0
  for (const { oid, address } of rows.versions) {
    const hex = toHex(address)
    const object = held.get(hex)
    if (object?.oid === toHex(oid) || named.has(hex)) continue
    if (++shown > SHOWN_MAX) continue
    const suspect = vault.suspects.get(hex)
    const torn = vault.unfinished.find(({ what }) => what.includes('unfinished'))
    if (object !== undefined)
      found.add(
        LAYOUT.custody,
        `version ${toHex(oid)} points to object ${hex} (${object.at.file}, offset ${object.at.offset}), which says it is ${object.oid ?? 'no object of a known form'}: swapped`,
        RESTORE_CUSTODY,
      )
    else if (suspect !== undefined)
      found.add(
        `${suspect.file}, offset ${suspect.offset}`,
        `object ${hex}, which custody counts on, is not what was stored`,
        RESTORE_OBJECT,
      )
    else
      found.add(
        torn === undefined ? `${LAYOUT.vault}/packs` : `${torn.file}, offset ${torn.offset}`,
        `object ${hex}, which custody counts on (version ${toHex(oid)}), is missing`,
        RESTORE_OBJECT,
      )
  }
  if (shown > SHOWN_MAX)
    found.add(
      LAYOUT.vault,
      `${shown - SHOWN_MAX} more objects that custody counts on are missing or swapped`,
      RESTORE_OBJECT,
    )
  const others = [...held.keys()].filter((address) => !wanted.has(address)).length
  if (others > 0)
    found.note(
      `vault: ${others} objects belong to no record version here (copies kept for others, or left by a crash)`,
    )
  return vault
}

function oidOf(bytes: Uint8Array): string | undefined {
  try {
    return toHex(readHeader(bytes).header.oid)
  } catch {
    return undefined
  }
}

/** Rows that point into the log, and what must hold among rows. */
export function auditRows(rows: CustodyRows, logSize: number, found: Findings): void {
  const wrong = (what: string) => found.add(LAYOUT.custody, what, RESTORE_CUSTODY)
  const tombstoned = new Set(rows.tombstones.map(toHex))
  const current = new Map<string, number>()
  for (const { oid, rid, version, current: isCurrent } of rows.versions) {
    if (tombstoned.has(toHex(oid))) wrong(`version ${toHex(oid)} was erased and its row is there`)
    if (isCurrent !== 1) continue
    const record = toHex(rid)
    if (current.has(record))
      wrong(`record ${record} has two current versions, ${current.get(record)} and ${version}`)
    current.set(record, version)
  }
  const taken = new Map<number, string>()
  const beyond = new Map<string, number>()
  for (const { table, leafIndex } of rows.leaves) {
    if (leafIndex >= logSize) beyond.set(table, (beyond.get(table) ?? 0) + 1)
    const other = taken.get(leafIndex)
    if (other !== undefined) wrong(`leaf ${leafIndex} of the log is claimed twice (${other}, ${table})`)
    taken.set(leafIndex, table)
  }
  for (const [table, count] of beyond)
    found.add(
      `${LAYOUT.log}/entries`,
      `${count} rows of ${table} point to leaves that the log of ${logSize} leaves does not have: the log was rolled back`,
      'restore a copy of the log that is as new as custody',
    )
}
