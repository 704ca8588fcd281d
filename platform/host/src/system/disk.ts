import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AppError } from '@salus/core'
import type { Disk } from '../disk.ts'
import { filePath, parentOf, pathParts } from '../path.ts'
import { appendFile } from './append-file.ts'
import { codeOf, diskError } from './disk-error.ts'
import { holdsLock, takeLock } from './disk-lock.ts'
import { openOrNone, readAt, writeAll } from './file-bytes.ts'

/** The directory `root` of this machine, made when it is not there. */
export function systemDisk(root: string): Disk {
  const base = resolve(root)
  const at = (path: string) => join(base, ...pathParts(path))
  const fileAt = (path: string) => {
    const absolute = at(filePath(path))
    // POSIX locks end when the process closes any handle on the file, even one opened to read it.
    if (holdsLock(absolute))
      throw new AppError('DISK_LOCKED', 'this file is a lock that is held here; leave it out', { path })
    return absolute
  }

  /** Makes a directory and makes every new name on the way durable. */
  async function makeDirs(path: string): Promise<void> {
    const first = await mkdir(at(path), { recursive: true })
    if (first === undefined) return
    for (let dir = at(path); dir.length >= first.length; dir = join(dir, '..')) await syncDir(join(dir, '..'))
  }

  /** Runs `action`, and once more after making the parent when that is what was missing. */
  async function withParent<T>(path: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await makeDirs(parentOf(path))
      return action()
    }
  }

  async function guarded<T>(path: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (error) {
      throw diskError(error, path)
    }
  }

  return {
    read: (path) =>
      guarded(path, async () => {
        const handle = await openOrNone(fileAt(path), 'r')
        if (!handle) return undefined
        await using _ = handle
        return await readAt(handle, 0, (await handle.stat()).size)
      }),
    readRange: (path, offset, lengthBytes) =>
      guarded(path, async () => {
        await using handle = await open(fileAt(path), 'r')
        return await readAt(handle, offset, lengthBytes)
      }),
    write: (path, bytes) =>
      guarded(path, async () => {
        const target = fileAt(path)
        const temporary = `${target}.${randomUUID()}.tmp`
        try {
          const handle = await withParent(path, () => open(temporary, 'wx'))
          try {
            await writeAll(handle, bytes, undefined)
            await handle.sync()
          } finally {
            await handle.close()
          }
          await rename(temporary, target)
        } catch (error) {
          await unlink(temporary).catch(() => undefined)
          throw error
        }
        await syncDir(at(parentOf(path)))
      }),
    openAppend: (path) =>
      guarded(path, async () => {
        const absolute = fileAt(path)
        const known = await openOrNone(absolute, 'r+')
        const handle = known ?? (await withParent(path, () => open(absolute, 'wx+')))
        return appendFile({
          handle,
          path,
          sizeBytes: (await handle.stat()).size,
          directory: known ? undefined : at(parentOf(path)),
          syncDir,
        })
      }),
    overwrite: (path, offset, bytes) =>
      guarded(path, async () => {
        await using handle = await open(fileAt(path), 'r+')
        const { size } = await handle.stat()
        if (offset < 0 || offset + bytes.length > size)
          throw new AppError('DISK_RANGE', 'overwrite must stay within the file', {
            path,
            offset,
            sizeBytes: size,
          })
        await writeAll(handle, bytes, offset)
        await handle.sync()
      }),
    list: (dir) =>
      guarded(dir, async () => {
        const entries = await readdir(at(dir), { withFileTypes: true }).catch((error: unknown) => {
          if (codeOf(error) === 'ENOENT') return []
          throw error
        })
        return entries
          .filter(({ name }) => !name.endsWith('.tmp'))
          .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
          .sort()
      }),
    stat: (path) =>
      guarded(path, async () => {
        const found = await stat(at(filePath(path))).catch((error: unknown) => {
          if (codeOf(error) === 'ENOENT') return undefined
          throw error
        })
        return found?.isFile() ? { sizeBytes: found.size, allocatedBytes: found.blocks * 512 } : undefined
      }),
    remove: (path) =>
      guarded(path, async () => {
        await rm(fileAt(path), { recursive: true, force: true })
        await syncDir(at(parentOf(path))).catch((error: unknown) => {
          if (codeOf(error) !== 'ENOENT') throw error
        })
      }),
    makeDir: (path) => guarded(path, () => makeDirs(path)),
    rename: (from, to) =>
      guarded(from, async () => {
        const source = fileAt(from)
        const target = fileAt(to)
        await stat(source)
        await withParent(to, () => rename(source, target))
        await syncDir(at(parentOf(to)))
        if (parentOf(from) !== parentOf(to)) await syncDir(at(parentOf(from)))
      }),
    lock: (path) =>
      guarded(path, async () => {
        const absolute = at(filePath(path))
        await makeDirs(parentOf(path))
        return takeLock(absolute, path)
      }),
  }
}

async function syncDir(absolute: string): Promise<void> {
  // Windows cannot open directories; NTFS journals names itself.
  if (process.platform === 'win32') return
  await using handle = await open(absolute, 'r')
  await handle.sync()
}
