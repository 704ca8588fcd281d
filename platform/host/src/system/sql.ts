import { DatabaseSync } from 'node:sqlite'
import type { Sql, SqlRow, SqlStatement, SqlValue } from '../sql.ts'

/**
 * Opens an SQLite file. With `durable`, a commit has reached the disk when it returns (WAL,
 * synchronous FULL); without, a crash may lose the last commits but never tears the file:
 * only for projections that can be rebuilt.
 */
export function openSql(path: string, { durable }: { readonly durable: boolean }): Sql {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL')
  database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
  // Deleted rows are overwritten with zeros, so that a freed page does not keep what was erased.
  database.exec('PRAGMA secure_delete = ON')
  database.exec('PRAGMA cache_size = -16000')
  return sqlOver(database)
}

/**
 * Opens an SQLite file to read it, beside a program that writes it or on a copy. The content is not changed; SQLite
 * may make its `-shm` file beside a write-ahead log.
 */
export function readSql(path: string): Sql {
  return sqlOver(new DatabaseSync(path, { readOnly: true }))
}

/** The same statements on a database that lives in memory: the twin for tests and simulation. */
export function memorySql(): Sql {
  return sqlOver(new DatabaseSync(':memory:'))
}

function sqlOver(database: DatabaseSync): Sql {
  let depth = 0
  const cache = new Map<string, SqlStatement>()
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const cached = cache.get(sql)
      if (cached !== undefined) return cached
      const statement = database.prepare(sql)
      const made: SqlStatement = {
        run: (...params) => {
          const result = statement.run(...params)
          return { changes: Number(result.changes), lastId: Number(result.lastInsertRowid) }
        },
        get: <Row extends SqlRow>(...params: SqlValue[]) => statement.get(...params) as Row | undefined,
        all: <Row extends SqlRow>(...params: SqlValue[]) => statement.all(...params) as Row[],
        iterate: <Row extends SqlRow>(...params: SqlValue[]) =>
          statement.iterate(...params) as IterableIterator<Row>,
      }
      cache.set(sql, made)
      return made
    },
    transaction(work) {
      if (depth > 0) return work()
      database.exec('BEGIN IMMEDIATE')
      depth = 1
      try {
        const result = work()
        database.exec('COMMIT')
        return result
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      } finally {
        depth = 0
      }
    },
    sizeBytes() {
      const count = database.prepare('PRAGMA page_count').get() as { page_count: number }
      const size = database.prepare('PRAGMA page_size').get() as { page_size: number }
      return count.page_count * size.page_size
    },
    close: () => database.close(),
  }
}
