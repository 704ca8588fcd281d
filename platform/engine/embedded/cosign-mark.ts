import { AppError, decode, encode } from '@salus/core'
import type { Disk } from '@salus/host'

/** The largest checkpoint of the block log that this node has cosigned. */
export interface Mark {
  readonly size: number
  readonly root: Uint8Array
}

/**
 * A cosigner's high-water mark. It lies in a file of its own, apart from the ledger's data, so that restoring that data
 * from a backup does not lower it (protocol §14, state rollback).
 */
export interface CosignMark {
  readonly mark: Mark | undefined
  /** Raises the mark, durably. Call it before the signature leaves. */
  raise(mark: Mark): Promise<void>
}

/** @throws {AppError} MARK_DAMAGED when the file is not readable: then nothing may be cosigned */
export async function openCosignMark(disk: Disk, path: string): Promise<CosignMark> {
  const bytes = await disk.read(path)
  let current = bytes && readMark(bytes, path)
  return {
    get mark() {
      return current
    },
    async raise(mark) {
      if (current && mark.size < current.size)
        throw new AppError(
          'MARK_LOWER',
          `${path}: cosigned up to ${current.size}, asked to go back to ${mark.size}`,
        )
      await disk.write(path, encode({ v: 1, size: mark.size, root: mark.root }))
      current = mark
    },
  }
}

function readMark(bytes: Uint8Array, path: string): Mark {
  try {
    const value = decode(bytes, { maxBytes: 256 }) as { v?: unknown; size?: unknown; root?: unknown }
    const { v, size, root } = value
    if (v === 1 && typeof size === 'number' && root instanceof Uint8Array && root.length === 32)
      return { size, root }
  } catch {}
  throw new AppError(
    'MARK_DAMAGED',
    `${path}: is not a cosigning mark; restore it, this node cosigns nothing without it`,
  )
}
