import { type CborValue, hmac } from '@salus/core'
import type { Sql } from '@salus/host'

/**
 * Search tokens: the first 48 bits of HMAC(IK_p, input). Within one owner equal tokens mean an equal value; across
 * owners they say nothing. Every hit is opened and compared again, so a collision costs one decryption and no more.
 * 48 bits, because SQLite keeps such an integer in six bytes and a JavaScript number holds it exactly.
 */
export function tokenOf(indexKey: Uint8Array, input: CborValue): number {
  const mac = hmac(indexKey, 'search', input)
  let token = 0
  for (let at = 0; at < 6; at += 1) token = token * 256 + (mac[at] as number)
  return token
}

/** Beyond this many rows a token is common, and how common no longer matters. */
const COUNT_UP_TO = 1_000

/** Rows in one statement: a call into the database costs as much as the row that it brings. */
const ROWS_PER_INSERT = 32

function insertOf(rows: number): string {
  return `INSERT OR IGNORE INTO records_token VALUES ${Array.from({ length: rows }, () => '(?, ?)').join(', ')}`
}

/**
 * Which versions carry which tokens. A projection: it can be lost and is made again from custody and vault, so a
 * commit need not wait for the disk; `indexedTo` says how far it has come.
 */
export class TokenIndex {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
    sql.exec(
      'CREATE TABLE IF NOT EXISTS records_token (token INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (token, seq)) WITHOUT ROWID',
    )
    sql.exec('CREATE TABLE IF NOT EXISTS records_indexed (one INTEGER PRIMARY KEY, seq INTEGER NOT NULL)')
  }

  /** Adds the tokens of versions by their `seq`, and notes that everything up to the last one is indexed. */
  add(entries: readonly { readonly seq: number; readonly tokens: readonly number[] }[]): void {
    if (entries.length === 0) return
    this.#sql.transaction(() => {
      const pairs = entries.flatMap(({ seq, tokens }) => tokens.map((token) => ({ token, seq })))
      // Tokens are random numbers: in their own order each page of the tree is touched once, not once per row.
      pairs.sort((a, b) => a.token - b.token || a.seq - b.seq)
      const whole = pairs.length - (pairs.length % ROWS_PER_INSERT)
      const many = this.#sql.prepare(insertOf(ROWS_PER_INSERT))
      for (let from = 0; from < whole; from += ROWS_PER_INSERT)
        many.run(...pairs.slice(from, from + ROWS_PER_INSERT).flatMap(({ token, seq }) => [token, seq]))
      const one = this.#sql.prepare(insertOf(1))
      for (const { token, seq } of pairs.slice(whole)) one.run(token, seq)
      const last = entries.reduce((max, { seq }) => Math.max(max, seq), 0)
      this.#noteIndexedTo(Math.max(last, this.indexedTo()))
    })
  }

  indexedTo(): number {
    return this.#sql.prepare('SELECT seq FROM records_indexed').get<{ seq: number }>()?.seq ?? 0
  }

  /**
   * Versions that carry one of the tokens in each of the lists, in order. At least one list. The rarest list is read,
   * and its hits are looked up in the others: what a search costs depends on what it finds, not on the record's size.
   */
  find(all: readonly (readonly number[])[]): number[] {
    const [rarest, ...others] = all
      .map((any) => ({ any, count: this.#countUpTo(any) }))
      .sort((a, b) => a.count - b.count)
    if (rarest === undefined) return []
    let hits = this.#scan(rarest.any)
    for (const { any, count } of others) {
      if (hits.size === 0) return []
      if (hits.size <= count) {
        const has = this.#sql.prepare('SELECT 1 FROM records_token WHERE token = ? AND seq = ?')
        hits = new Set([...hits].filter((seq) => any.some((token) => has.get(token, seq) !== undefined)))
      } else {
        const found = this.#scan(any)
        hits = new Set([...hits].filter((seq) => found.has(seq)))
      }
    }
    return [...hits].sort((a, b) => a - b)
  }

  #scan(any: readonly number[]): Set<number> {
    const lookup = this.#sql.prepare('SELECT seq FROM records_token WHERE token = ?')
    return new Set(any.flatMap((token) => lookup.all(token).map((row) => row['seq'] as number)))
  }

  /** How many rows the tokens have; counting stops where more would not change what is done. */
  #countUpTo(any: readonly number[]): number {
    const count = this.#sql.prepare(
      'SELECT COUNT(*) AS n FROM (SELECT 1 FROM records_token WHERE token = ? LIMIT ?)',
    )
    return any.reduce((sum, token) => sum + (count.get<{ n: number }>(token, COUNT_UP_TO)?.n ?? 0), 0)
  }

  /** Forgets versions. Scans the whole index, which is what a rare erasure may cost and a write may not. */
  remove(seqs: ReadonlySet<number>): void {
    // Every start of a node asks, mostly for nothing.
    if (seqs.size === 0) return
    this.#sql.transaction(() => {
      const remove = this.#sql.prepare('DELETE FROM records_token WHERE token = ? AND seq = ?')
      const gone: [token: number, seq: number][] = []
      for (const { token, seq } of this.#sql
        .prepare('SELECT token, seq FROM records_token')
        .iterate<{ token: number; seq: number }>())
        if (seqs.has(seq)) gone.push([token, seq])
      for (const [token, seq] of gone) remove.run(token, seq)
    })
  }

  /** See `CustodyStore.flushDeleted`. */
  flushDeleted(): void {
    this.#sql.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  #noteIndexedTo(seq: number): void {
    this.#sql.prepare('INSERT OR REPLACE INTO records_indexed VALUES (1, ?)').run(seq)
  }
}
