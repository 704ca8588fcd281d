import { DatabaseSync } from 'node:sqlite'
import { AppError } from '@salus/core'
import type { DiskLock } from '../disk.ts'

// The lock is the operating system's own, taken through SQLite because Node offers no flock: the kernel
// gives it back when the process dies, however it dies, so no stale file has to be judged. The file stays empty.
const held = new Map<string, DatabaseSync>()

/** Long enough for two processes that collide while one of them is only looking; SQLite waits in place. */
const COLLISION_MS = 50

export const holdsLock = (absolute: string): boolean => held.has(absolute)

export function takeLock(absolute: string, path: string): DiskLock {
  const refused = (cause?: unknown) =>
    new AppError('DISK_LOCKED', 'another process holds this lock; stop it first', { path }, { cause })
  if (held.has(absolute)) throw refused()
  const database = new DatabaseSync(absolute, { timeout: COLLISION_MS })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    throw refused(error)
  }
  held.set(absolute, database)
  return {
    async release() {
      if (held.get(absolute) !== database) return
      held.delete(absolute)
      database.close()
    },
  }
}
