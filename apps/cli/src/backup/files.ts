import { createHash } from 'node:crypto'
import { AppError } from '@salus/core'
import type { Disk } from '@salus/host'

const CHUNK_BYTES = 4 << 20

/** Every file below a folder, with paths relative to the disk's root, in order. */
export async function filesBelow(disk: Disk, folder = ''): Promise<string[]> {
  const files: string[] = []
  for (const name of await disk.list(folder)) {
    const path = folder === '' ? name : `${folder}/${name}`
    if (name.endsWith('/')) files.push(...(await filesBelow(disk, path.slice(0, -1))))
    else files.push(path)
  }
  return files
}

/** Copies a file, durably; returns its size and SHA-256, hex. */
export async function copyFile(
  from: Disk,
  path: string,
  to: Disk,
  target = path,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const stat = await from.stat(path)
  if (stat === undefined) throw new AppError('FILE_NOT_FOUND', `${path}: is not there`)
  const hash = createHash('sha256')
  const file = await to.openAppend(target)
  try {
    for (let offset = 0; offset < stat.sizeBytes; offset += CHUNK_BYTES) {
      const bytes = await from.readRange(path, offset, Math.min(CHUNK_BYTES, stat.sizeBytes - offset))
      hash.update(bytes)
      await file.append(bytes)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { sizeBytes: stat.sizeBytes, sha256: hash.digest('hex') }
}
