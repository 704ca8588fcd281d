/** What SQLite can hold: the four storage classes that this project uses. Floats are never stored. */
export type SqlValue = null | number | bigint | string | Uint8Array

export type SqlRow = Readonly<Record<string, SqlValue>>

export interface SqlStatement {
  /** `lastId` is the row id of the last insert. */
  run(...params: SqlValue[]): { readonly changes: number; readonly lastId: number }
  get<Row extends SqlRow = SqlRow>(...params: SqlValue[]): Row | undefined
  all<Row extends SqlRow = SqlRow>(...params: SqlValue[]): Row[]
  iterate<Row extends SqlRow = SqlRow>(...params: SqlValue[]): IterableIterator<Row>
}

/**
 * A relational store of one process. Synchronous: one writer, no interleaving inside a transaction.
 *
 * The in-memory twin of every store on this interface is the same statements on a memory database,
 * so simulation and production run one code path (`docs/decisions/one-sql.md`).
 */
export interface Sql {
  exec(sql: string): void
  prepare(sql: string): SqlStatement
  /** Runs `work` in one transaction; a throw rolls everything back. Nested calls join the outer one. */
  transaction<T>(work: () => T): T
  /** Bytes that the database occupies, for figures. */
  sizeBytes(): number
  close(): void
}
