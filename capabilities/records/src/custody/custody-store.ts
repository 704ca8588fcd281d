import { AppError } from '@salus/core'
import type { Sql, SqlRow } from '@salus/host'
import type {
  BatchRow,
  NewVersionRow,
  OwnerKind,
  OwnerRow,
  OwnerStatus,
  VersionRow,
  VersionState,
} from './rows.ts'

const FORMAT = 1

/**
 * The custody rows: who owns what, wraps and sealed labels. The primary store of `records`; losing it loses the
 * way to every object, so it is durable and backed up.
 */
export class CustodyStore {
  readonly sql: Sql

  constructor(sql: Sql) {
    this.sql = sql
    sql.transaction(() => {
      for (const statement of TABLES) sql.exec(statement)
      const row = sql.prepare("SELECT value FROM records_meta WHERE name = 'format'").get<{ value: number }>()
      if (row === undefined) sql.prepare("INSERT INTO records_meta VALUES ('format', ?)").run(FORMAT)
      else if (row.value > FORMAT)
        throw new AppError(
          'DATA_NEWER',
          `custody store: format ${row.value} is newer than this software reads (${FORMAT}); start the newer version`,
        )
    })
  }

  ownerByRid(rid: Uint8Array): OwnerRow | undefined {
    return this.#owner('SELECT * FROM records_owner WHERE rid = ?', rid)
  }

  owner(owner: Uint8Array): OwnerRow | undefined {
    return this.#owner('SELECT * FROM records_owner WHERE owner = ?', owner)
  }

  ownerByLinkKey(linkKey: Uint8Array): OwnerRow | undefined {
    return this.#owner('SELECT * FROM records_owner WHERE linkKey = ?', linkKey)
  }

  ownerBySub(sub: Uint8Array): OwnerRow | undefined {
    return this.#owner('SELECT * FROM records_owner WHERE sub = ?', sub)
  }

  owners(): OwnerRow[] {
    return this.sql.prepare('SELECT * FROM records_owner').all().map(ownerFrom)
  }

  addOwner({ owner, rid, kind, status }: Pick<OwnerRow, 'owner' | 'rid' | 'kind' | 'status'>): void {
    this.sql
      .prepare('INSERT INTO records_owner (owner, rid, kind, status) VALUES (?, ?, ?, ?)')
      .run(owner, rid, kind, status)
  }

  setStatus(owner: Uint8Array, status: OwnerStatus, retainUntilMs?: number): void {
    this.sql
      .prepare('UPDATE records_owner SET status = ?, retainUntilMs = ? WHERE owner = ?')
      .run(status, retainUntilMs ?? null, owner)
  }

  /** Registers, replaces or (with undefined) removes the key under which the owner acts here. */
  setLink(owner: Uint8Array, link: { linkKey: Uint8Array; sub: Uint8Array } | undefined): void {
    this.sql
      .prepare('UPDATE records_owner SET linkKey = ?, sub = ? WHERE owner = ?')
      .run(link?.linkKey ?? null, link?.sub ?? null, owner)
  }

  setCard(owner: Uint8Array, card: Uint8Array | undefined): void {
    this.sql.prepare('UPDATE records_owner SET card = ? WHERE owner = ?').run(card ?? null, owner)
  }

  removeOwner(owner: Uint8Array): void {
    this.sql.prepare('DELETE FROM records_owner WHERE owner = ?').run(owner)
  }

  /** Adds versions in one go; each takes the place of the current version of its record. Returns their `seq`s. */
  addVersions(rows: readonly NewVersionRow[]): number[] {
    const supersede = this.sql.prepare('UPDATE records_version SET current = 0 WHERE rid = ? AND current = 1')
    const insert = this.sql.prepare(
      `INSERT INTO records_version (oid, owner, rid, version, address, comp, epoch, batch, ownerWrap, custodyWrap, sealed, leafIndex, current, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'live')`,
    )
    return rows.map((row) => {
      if (row.version > 1) supersede.run(row.rid)
      const { lastId } = insert.run(
        row.oid,
        row.owner,
        row.rid,
        row.version,
        row.address,
        row.comp,
        row.epoch,
        row.batch ?? null,
        row.ownerWrap ?? null,
        row.custodyWrap ?? null,
        row.sealed,
        row.leafIndex,
        row.current ? 1 : 0,
      )
      return lastId
    })
  }

  addBatches(rows: readonly BatchRow[]): void {
    const insert = this.sql.prepare('INSERT INTO records_batch VALUES (?, ?, ?, ?, ?)')
    for (const row of rows) insert.run(row.batch, row.owner, row.comp, row.epoch, row.enc)
  }

  batch(batch: Uint8Array): BatchRow | undefined {
    const row = this.sql.prepare('SELECT * FROM records_batch WHERE batch = ?').get(batch)
    return row === undefined ? undefined : batchFrom(row)
  }

  batches(owner: Uint8Array): BatchRow[] {
    return this.sql.prepare('SELECT * FROM records_batch WHERE owner = ?').all(owner).map(batchFrom)
  }

  /** Removes encapsulations that no wrap of the owner needs any more. */
  removeUnusedBatches(owner: Uint8Array): void {
    this.sql
      .prepare(
        `DELETE FROM records_batch WHERE owner = ? AND batch NOT IN
           (SELECT batch FROM records_version WHERE owner = ? AND batch IS NOT NULL)`,
      )
      .run(owner, owner)
  }

  version(oid: Uint8Array): VersionRow | undefined {
    const row = this.sql.prepare('SELECT * FROM records_version WHERE oid = ?').get(oid)
    return row === undefined ? undefined : versionFrom(row)
  }

  /** The current version of the record with this token, or of the version `version`. */
  versionByRid(rid: Uint8Array, version?: number): VersionRow | undefined {
    const row =
      version === undefined
        ? this.sql.prepare('SELECT * FROM records_version WHERE rid = ? AND current = 1').get(rid)
        : this.sql.prepare('SELECT * FROM records_version WHERE rid = ? AND version = ?').get(rid, version)
    return row === undefined ? undefined : versionFrom(row)
  }

  /** The newest version of a record, also when it is a deletion and nothing is current. */
  latestByRid(rid: Uint8Array): VersionRow | undefined {
    const row = this.sql
      .prepare('SELECT * FROM records_version WHERE rid = ? ORDER BY version DESC LIMIT 1')
      .get(rid)
    return row === undefined ? undefined : versionFrom(row)
  }

  history(rid: Uint8Array): VersionRow[] {
    return this.sql
      .prepare('SELECT * FROM records_version WHERE rid = ? ORDER BY version DESC')
      .all(rid)
      .map(versionFrom)
  }

  /** All versions of an owner in order of arrival, from after `seq`. */
  versions(
    owner: Uint8Array,
    { after = 0, limit = 1_000_000 }: { after?: number; limit?: number } = {},
  ): VersionRow[] {
    return this.sql
      .prepare('SELECT * FROM records_version WHERE owner = ? AND seq > ? ORDER BY seq LIMIT ?')
      .all(owner, after, limit)
      .map(versionFrom)
  }

  /** Versions of any owner in order of arrival: what the index catches up from. */
  versionsAfter(seq: number, limit: number): VersionRow[] {
    return this.sql
      .prepare('SELECT * FROM records_version WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(seq, limit)
      .map(versionFrom)
  }

  /** Current versions of an owner in order of arrival, from after `seq`. */
  currentVersions(owner: Uint8Array, { after, limit }: { after: number; limit: number }): VersionRow[] {
    return this.sql
      .prepare(
        'SELECT * FROM records_version WHERE owner = ? AND current = 1 AND seq > ? ORDER BY seq LIMIT ?',
      )
      .all(owner, after, limit)
      .map(versionFrom)
  }

  versionBySeq(seq: number): VersionRow | undefined {
    const row = this.sql.prepare('SELECT * FROM records_version WHERE seq = ?').get(seq)
    return row === undefined ? undefined : versionFrom(row)
  }

  countVersions(owner?: Uint8Array): number {
    const row =
      owner === undefined
        ? this.sql.prepare('SELECT COUNT(*) AS n FROM records_version').get<{ n: number }>()
        : this.sql
            .prepare('SELECT COUNT(*) AS n FROM records_version WHERE owner = ?')
            .get<{ n: number }>(owner)
    return row?.n ?? 0
  }

  setOwnerWrap(
    oid: Uint8Array,
    wrap: { batch: Uint8Array; ownerWrap: Uint8Array; comp: Uint8Array; epoch: number },
  ): void {
    this.sql
      .prepare('UPDATE records_version SET batch = ?, ownerWrap = ?, comp = ?, epoch = ? WHERE oid = ?')
      .run(wrap.batch, wrap.ownerWrap, wrap.comp, wrap.epoch, oid)
  }

  clearOwnerWrap(oid: Uint8Array): void {
    this.sql.prepare('UPDATE records_version SET batch = NULL, ownerWrap = NULL WHERE oid = ?').run(oid)
  }

  /** After the custody key changed: what it protects, made again. */
  setCustody(
    oid: Uint8Array,
    { custodyWrap, sealed }: { custodyWrap: Uint8Array | undefined; sealed: Uint8Array },
  ): void {
    this.sql
      .prepare('UPDATE records_version SET custodyWrap = ?, sealed = ? WHERE oid = ?')
      .run(custodyWrap ?? null, sealed, oid)
  }

  /** Hides versions from care until a date, and takes away the owner's own wraps of them. */
  restrict(oids: readonly Uint8Array[], untilMs: number): void {
    const hide = this.sql.prepare(
      "UPDATE records_version SET state = 'restricted', batch = NULL, ownerWrap = NULL WHERE oid = ?",
    )
    const keep = this.sql.prepare('INSERT OR REPLACE INTO records_retained VALUES (?, ?)')
    for (const oid of oids) {
      hide.run(oid)
      keep.run(oid, untilMs)
    }
  }

  /** Restricted versions whose date has come. */
  due(nowMs: number): VersionRow[] {
    return this.sql
      .prepare(
        `SELECT records_version.* FROM records_version JOIN records_retained USING (oid)
         WHERE untilMs <= ? ORDER BY seq`,
      )
      .all(nowMs)
      .map(versionFrom)
  }

  /** The next date on which something is due, ms UTC. */
  nextDueMs(): number | undefined {
    const row = this.sql
      .prepare('SELECT MIN(untilMs) AS at FROM records_retained')
      .get<{ at: number | null }>()
    return row?.at ?? undefined
  }

  /** Removes versions and remembers their opaque ids, so that no restored backup brings them back. */
  removeVersions(oids: readonly Uint8Array[], atMs: number): void {
    const remove = this.sql.prepare('DELETE FROM records_version WHERE oid = ?')
    const forget = this.sql.prepare('DELETE FROM records_retained WHERE oid = ?')
    const tombstone = this.sql.prepare('INSERT OR IGNORE INTO records_tombstone VALUES (?, ?)')
    for (const oid of oids) {
      remove.run(oid)
      forget.run(oid)
      tombstone.run(oid, atMs)
    }
  }

  /** Keeps a sealed receipt of another organisation; false if it is here already. */
  addReceipt(owner: Uint8Array, id: Uint8Array, sealed: Uint8Array): boolean {
    const { changes } = this.sql
      .prepare('INSERT OR IGNORE INTO records_receipt VALUES (?, ?, ?)')
      .run(owner, id, sealed)
    return changes > 0
  }

  setReceipt(owner: Uint8Array, id: Uint8Array, sealed: Uint8Array): void {
    this.sql
      .prepare('UPDATE records_receipt SET sealed = ? WHERE owner = ? AND id = ?')
      .run(sealed, owner, id)
  }

  receipts(owner: Uint8Array): { readonly id: Uint8Array; readonly sealed: Uint8Array }[] {
    return this.sql
      .prepare('SELECT id, sealed FROM records_receipt WHERE owner = ? ORDER BY id')
      .all<{ id: Uint8Array; sealed: Uint8Array }>(owner)
  }

  removeReceipts(owner: Uint8Array): void {
    this.sql.prepare('DELETE FROM records_receipt WHERE owner = ?').run(owner)
  }

  /** Lets an owner be found by the record id of her Patient resource, once that is here. */
  setOwnerRid(owner: Uint8Array, rid: Uint8Array): void {
    this.sql.prepare('UPDATE records_owner SET rid = ? WHERE owner = ?').run(rid, owner)
  }

  /**
   * Moves what the write-ahead log still holds into the database and empties it: deleted rows are zeros in the one
   * and would live on in the other.
   */
  flushDeleted(): void {
    this.sql.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  tombstones(): Uint8Array[] {
    return this.sql
      .prepare('SELECT oid FROM records_tombstone')
      .all<{ oid: Uint8Array }>()
      .map((row) => row.oid)
  }

  #owner(sql: string, key: Uint8Array): OwnerRow | undefined {
    const row = this.sql.prepare(sql).get(key)
    return row === undefined ? undefined : ownerFrom(row)
  }
}

const TABLES = [
  'CREATE TABLE IF NOT EXISTS records_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID',
  `CREATE TABLE IF NOT EXISTS records_owner (
     owner BLOB PRIMARY KEY, rid BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, status TEXT NOT NULL,
     retainUntilMs INTEGER, linkKey BLOB, sub BLOB, card BLOB) WITHOUT ROWID`,
  'CREATE UNIQUE INDEX IF NOT EXISTS records_owner_link ON records_owner (linkKey) WHERE linkKey IS NOT NULL',
  'CREATE UNIQUE INDEX IF NOT EXISTS records_owner_sub ON records_owner (sub) WHERE sub IS NOT NULL',
  `CREATE TABLE IF NOT EXISTS records_version (
     seq INTEGER PRIMARY KEY AUTOINCREMENT, oid BLOB NOT NULL, owner BLOB NOT NULL, rid BLOB NOT NULL,
     version INTEGER NOT NULL, address BLOB NOT NULL, comp BLOB NOT NULL, epoch INTEGER NOT NULL, batch BLOB,
     ownerWrap BLOB, custodyWrap BLOB, sealed BLOB NOT NULL, leafIndex INTEGER NOT NULL, current INTEGER NOT NULL,
     state TEXT NOT NULL)`,
  'CREATE UNIQUE INDEX IF NOT EXISTS records_version_oid ON records_version (oid)',
  'CREATE UNIQUE INDEX IF NOT EXISTS records_version_rid ON records_version (rid, version)',
  'CREATE INDEX IF NOT EXISTS records_version_owner ON records_version (owner)',
  `CREATE TABLE IF NOT EXISTS records_batch (
     batch BLOB PRIMARY KEY, owner BLOB NOT NULL, comp BLOB NOT NULL, epoch INTEGER NOT NULL, enc BLOB NOT NULL) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS records_batch_owner ON records_batch (owner)',
  `CREATE TABLE IF NOT EXISTS records_receipt (
     owner BLOB NOT NULL, id BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (owner, id)) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS records_retained (oid BLOB PRIMARY KEY, untilMs INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS records_tombstone (oid BLOB PRIMARY KEY, atMs INTEGER NOT NULL) WITHOUT ROWID',
]

function ownerFrom(row: SqlRow): OwnerRow {
  return {
    owner: row['owner'] as Uint8Array,
    rid: row['rid'] as Uint8Array,
    kind: row['kind'] as OwnerKind,
    status: row['status'] as OwnerStatus,
    retainUntilMs: (row['retainUntilMs'] as number | null) ?? undefined,
    linkKey: (row['linkKey'] as Uint8Array | null) ?? undefined,
    sub: (row['sub'] as Uint8Array | null) ?? undefined,
    card: (row['card'] as Uint8Array | null) ?? undefined,
  }
}

function batchFrom(row: SqlRow): BatchRow {
  return {
    batch: row['batch'] as Uint8Array,
    owner: row['owner'] as Uint8Array,
    comp: row['comp'] as Uint8Array,
    epoch: row['epoch'] as number,
    enc: row['enc'] as Uint8Array,
  }
}

function versionFrom(row: SqlRow): VersionRow {
  return {
    seq: row['seq'] as number,
    oid: row['oid'] as Uint8Array,
    owner: row['owner'] as Uint8Array,
    rid: row['rid'] as Uint8Array,
    version: row['version'] as number,
    address: row['address'] as Uint8Array,
    comp: row['comp'] as Uint8Array,
    epoch: row['epoch'] as number,
    batch: (row['batch'] as Uint8Array | null) ?? undefined,
    ownerWrap: (row['ownerWrap'] as Uint8Array | null) ?? undefined,
    custodyWrap: (row['custodyWrap'] as Uint8Array | null) ?? undefined,
    sealed: row['sealed'] as Uint8Array,
    leafIndex: row['leafIndex'] as number,
    current: row['current'] === 1,
    state: row['state'] as VersionState,
  }
}
