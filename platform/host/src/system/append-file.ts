import type { FileHandle } from 'node:fs/promises'
import { AppError } from '@salus/core'
import type { AppendFile } from '../disk.ts'
import { diskError } from './disk-error.ts'
import { writeAll } from './file-bytes.ts'

interface Opened {
  readonly handle: FileHandle
  readonly path: string
  readonly sizeBytes: number
  /** Absolute path of the directory to sync with the first sync, when the file is new. */
  readonly directory: string | undefined
  readonly syncDir: (directory: string) => Promise<void>
}

/** An append-only handle: one operation at a time, in the order of the calls. */
export function appendFile({ handle, path, sizeBytes, directory, syncDir }: Opened): AppendFile {
  let accepted = sizeBytes
  let written = sizeBytes
  let unnamed = directory
  let broken: AppError | undefined
  let closing: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()

  function inOrder<T>(step: () => Promise<T>): Promise<T> {
    if (closing) return Promise.reject(new AppError('DISK_CLOSED', 'the file is closed', { path }))
    const done = last.then(async () => {
      if (broken) throw broken
      return step()
    })
    last = done.catch(() => undefined)
    return done
  }

  return {
    get size() {
      return accepted
    },
    append(bytes) {
      accepted += bytes.length
      return inOrder(async () => {
        try {
          await writeAll(handle, bytes, written)
          written += bytes.length
        } catch (error) {
          accepted -= bytes.length
          const failure = diskError(error, path)
          // Cut what was half-written; if even that fails, nobody may append behind it.
          await handle.truncate(written).catch(() => {
            broken = failure
          })
          throw failure
        }
      })
    },
    sync: () =>
      inOrder(async () => {
        try {
          await handle.datasync()
          if (unnamed !== undefined) await syncDir(unnamed)
          unnamed = undefined
        } catch (error) {
          // The kernel may drop dirty pages after a failed fsync, and a second one would then "succeed".
          broken = diskError(error, path)
          throw broken
        }
      }),
    truncate: (newSizeBytes) =>
      inOrder(async () => {
        if (newSizeBytes > written || newSizeBytes < 0)
          throw new AppError('DISK_RANGE', 'truncate cannot grow a file', { path, sizeBytes: newSizeBytes })
        try {
          await handle.truncate(newSizeBytes)
          await handle.sync()
        } catch (error) {
          broken = diskError(error, path)
          throw broken
        }
        accepted -= written - newSizeBytes
        written = newSizeBytes
      }),
    close() {
      closing ??= last.then(() => handle.close())
      return closing
    },
  }
}
