import { AppError, equal, gcmOpen, gcmSeal, hmac, type Random, toHex } from '@salus/core'
import type { Clock, Sql, SqlRow } from '@salus/host'
import { acceptVersion, type Envelope, type KeyringLeaf, readEnvelope, readSealed } from '@salus/keys'
import type { LeafSink } from './ports.ts'
import { Turns } from './turns.ts'

/** Kind of a keyring version's leaf (protocol, Forms). */
const LEAF_KIND = 3
const MAX_ENVELOPES = 32

export interface HomeParts {
  readonly sql: Sql
  /** Organisation secret that seals leaf salts. */
  readonly key: Uint8Array
  readonly log: LeafSink
  readonly clock: Clock
  readonly random: Random
}

/** A keyring as home keeps it: what it cannot open, and the leaf that lets nobody forget a version. */
export interface StoredKeyring {
  readonly owner: Uint8Array
  readonly keyringId: Uint8Array
  readonly version: number
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
  readonly generation: number
  readonly envelopes: readonly Uint8Array[]
  readonly leaf: { readonly salt: Uint8Array; readonly index: number }
}

/** A way to the keyring, as far as home can tell: its label is inside the keyring. */
export interface KnownUnlocker {
  readonly id: Uint8Array
  readonly kind: Envelope['kind']
  readonly addedMs: number
}

/**
 * Keyrings at home (protocol §2): sealed bytes with compare-and-swap on their version, the newest and the one before.
 * A leaf of kind 3 is durable before a version counts, so home cannot roll one back unseen.
 */
export class Home {
  readonly #parts: HomeParts
  readonly #turns = new Turns()

  constructor(parts: HomeParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_account (
         owner BLOB PRIMARY KEY, keyringId BLOB NOT NULL UNIQUE) WITHOUT ROWID`,
    )
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_former_account (
         keyringId BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID`,
    )
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_keyring (
         keyringId BLOB NOT NULL, version INTEGER NOT NULL, generation INTEGER NOT NULL, digest BLOB NOT NULL,
         bytes BLOB NOT NULL, salt BLOB NOT NULL, leafIndex INTEGER NOT NULL, PRIMARY KEY (keyringId, version))`,
    )
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_envelope (
         keyringId BLOB NOT NULL, id BLOB NOT NULL, kind TEXT NOT NULL, bytes BLOB NOT NULL, addedMs INTEGER NOT NULL,
         PRIMARY KEY (keyringId, id)) WITHOUT ROWID`,
    )
  }

  /**
   * Accepts the next version. `envelopes` replaces all earlier ones; needed for the first version and a new `KRK`.
   * Throws AppError `KEYRING_CONFLICT` (open what is stored and try again), `ENVELOPES`, `CONFLICT`, `SCHEMA`, `CBOR`.
   */
  async put(
    owner: Uint8Array,
    input: { readonly bytes: Uint8Array; readonly envelopes?: readonly Uint8Array[] },
  ): Promise<{ readonly version: number; readonly leaf: StoredKeyring['leaf'] }> {
    return this.#turns.take(toHex(owner), () => this.#put(owner, input))
  }

  ofOwner(owner: Uint8Array): StoredKeyring | undefined {
    const account = this.#parts.sql.prepare('SELECT * FROM identity_account WHERE owner = ?').get(owner)
    return account === undefined ? undefined : this.#stored(account)
  }

  byId(keyringId: Uint8Array): StoredKeyring | undefined {
    const account = this.#parts.sql
      .prepare(
        `SELECT owner, keyringId FROM identity_account WHERE keyringId = ?1
           UNION ALL SELECT owner, keyringId FROM identity_former_account WHERE keyringId = ?1`,
      )
      .get(keyringId)
    return account === undefined ? undefined : this.#stored(account)
  }

  /** Versions that are kept, newest first: the newest and, under the same `KRK`, the one before. */
  versions(owner: Uint8Array): number[] {
    return this.#parts.sql
      .prepare(
        `SELECT version FROM identity_keyring WHERE keyringId =
           (SELECT keyringId FROM identity_account WHERE owner = ?) ORDER BY version DESC`,
      )
      .all(owner)
      .map((row) => row['version'] as number)
  }

  unlockers(owner: Uint8Array): KnownUnlocker[] {
    return this.#parts.sql
      .prepare(
        `SELECT id, kind, addedMs FROM identity_envelope WHERE keyringId =
           (SELECT keyringId FROM identity_account WHERE owner = ?) ORDER BY addedMs, id`,
      )
      .all(owner) as unknown as KnownUnlocker[]
  }

  /**
   * Makes room for a new account of an owner who lost every way into hers. The old keyring takes no more versions; it
   * stays readable by its id for whatever once opened it, because what she alone could read is in no other place.
   */
  setAside(owner: Uint8Array): void {
    const { sql } = this.#parts
    sql.transaction(() => {
      sql
        .prepare(
          'INSERT INTO identity_former_account SELECT keyringId, owner FROM identity_account WHERE owner = ?',
        )
        .run(owner)
      sql.prepare('DELETE FROM identity_account WHERE owner = ?').run(owner)
    })
  }

  /** Forgets an owner's keyrings, former ones too, and every way to them. */
  removeOwner(owner: Uint8Array): void {
    const { sql } = this.#parts
    const accounts = ['identity_account', 'identity_former_account']
    sql.transaction(() => {
      for (const account of accounts) {
        for (const table of ['identity_envelope', 'identity_keyring'])
          sql
            .prepare(
              `DELETE FROM ${table} WHERE keyringId IN (SELECT keyringId FROM ${account} WHERE owner = ?)`,
            )
            .run(owner)
        sql.prepare(`DELETE FROM ${account} WHERE owner = ?`).run(owner)
      }
    })
  }

  async #put(
    owner: Uint8Array,
    input: { readonly bytes: Uint8Array; readonly envelopes?: readonly Uint8Array[] },
  ): Promise<{ readonly version: number; readonly leaf: StoredKeyring['leaf'] }> {
    const { log, random } = this.#parts
    const sealed = readSealed(input.bytes)
    const stored = this.ofOwner(owner)
    if (stored === undefined && this.byId(sealed.id) !== undefined)
      throw new AppError('CONFLICT', 'keyringId: belongs to another account; make a new keyring')
    const accepted = acceptVersion(input.bytes, stored)
    const before = stored?.generation ?? 0
    if (sealed.krkGeneration < before)
      throw new AppError('KEYRING_CONFLICT', 'krkGeneration: only rises; open what is stored first')
    const renewed = sealed.krkGeneration !== before
    if (renewed && input.envelopes === undefined)
      throw new AppError('ENVELOPES', 'envelopes: a new KRK comes with the envelopes of every unlocker')
    const envelopes = checkEnvelopes(input.envelopes ?? [], sealed)
    const salt = random(32)
    const { index } = await log.appendMany([keyringLeafOf(salt, accepted)])
    this.#store(
      { owner, ...accepted, bytes: input.bytes, generation: sealed.krkGeneration, leaf: { salt, index } },
      input.envelopes === undefined ? undefined : envelopes,
    )
    return { version: accepted.version, leaf: { salt, index } }
  }

  #store(
    stored: Omit<StoredKeyring, 'envelopes'>,
    envelopes: readonly { readonly envelope: Envelope; readonly bytes: Uint8Array }[] | undefined,
  ): void {
    const { sql, key, clock, random } = this.#parts
    const { owner, keyringId, version, generation, digest, bytes, leaf } = stored
    const salt = gcmSeal({ key, aad: keyringId, plaintext: leaf.salt, random })
    sql.transaction(() => {
      sql.prepare('INSERT OR IGNORE INTO identity_account VALUES (?, ?)').run(owner, keyringId)
      sql
        .prepare('INSERT INTO identity_keyring VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(keyringId, version, generation, digest, bytes, salt, leaf.index)
      // What an earlier KRK opens goes at once: whoever still has it was shut out by the new one.
      sql
        .prepare('DELETE FROM identity_keyring WHERE keyringId = ? AND (version < ? OR generation < ?)')
        .run(keyringId, version - 1, generation)
      if (envelopes === undefined) return
      const known = new Map(this.unlockers(owner).map(({ id, addedMs }) => [toHex(id), addedMs] as const))
      sql.prepare('DELETE FROM identity_envelope WHERE keyringId = ?').run(keyringId)
      for (const { envelope, bytes: encoded } of envelopes)
        sql
          .prepare('INSERT INTO identity_envelope VALUES (?, ?, ?, ?, ?)')
          .run(keyringId, envelope.id, envelope.kind, encoded, known.get(toHex(envelope.id)) ?? clock.now())
    })
  }

  #stored(account: SqlRow): StoredKeyring | undefined {
    const { sql, key } = this.#parts
    const keyringId = account['keyringId'] as Uint8Array
    const row = sql
      .prepare('SELECT * FROM identity_keyring WHERE keyringId = ? ORDER BY version DESC LIMIT 1')
      .get(keyringId)
    if (row === undefined) return undefined
    const salt = gcmOpen({ key, aad: keyringId, sealed: row['salt'] as Uint8Array })
    return {
      owner: account['owner'] as Uint8Array,
      keyringId,
      version: row['version'] as number,
      bytes: row['bytes'] as Uint8Array,
      digest: row['digest'] as Uint8Array,
      generation: row['generation'] as number,
      leaf: { salt, index: row['leafIndex'] as number },
      envelopes: sql
        .prepare('SELECT bytes FROM identity_envelope WHERE keyringId = ? ORDER BY id')
        .all(keyringId)
        .map((each) => each['bytes'] as Uint8Array),
    }
  }
}

/** The log leaf of a keyring version: `HMAC(salt, (3, keyringId, version, digest))`, 32 B. */
export function keyringLeafOf(salt: Uint8Array, leaf: KeyringLeaf): Uint8Array {
  return hmac(salt, LEAF_KIND, leaf.keyringId, leaf.version, leaf.digest)
}

function checkEnvelopes(
  encoded: readonly Uint8Array[],
  sealed: { readonly id: Uint8Array; readonly krkGeneration: number },
): { readonly envelope: Envelope; readonly bytes: Uint8Array }[] {
  const wrong = (rule: string) => new AppError('ENVELOPES', `envelopes: ${rule}`)
  if (encoded.length > MAX_ENVELOPES) throw wrong(`at most ${MAX_ENVELOPES}; take out unlockers first`)
  const read = encoded.map((bytes) => ({ envelope: readEnvelope(bytes), bytes }))
  const ids = new Set(read.map(({ envelope }) => toHex(envelope.id)))
  if (ids.size !== read.length) throw wrong('one unlocker comes twice')
  for (const { envelope } of read)
    if (!equal(envelope.keyringId, sealed.id) || envelope.krkGeneration !== sealed.krkGeneration)
      throw wrong('one is of another keyring or another KRK; wrap again')
  return read
}
