import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes on the device of a file, or of a directory and everything below it: what `du` counts. 0 where there is none. */
export function allocatedBytes(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 0
  // POSIX: st_blocks are 512 bytes, whatever the file system's own block is.
  const own = stat.blocks * 512
  if (!stat.isDirectory()) return own
  return readdirSync(path).reduce((sum, name) => sum + allocatedBytes(join(path, name)), own)
}
