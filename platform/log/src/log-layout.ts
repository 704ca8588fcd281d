import { AppError } from '@salus/core'
import { TILE_WIDTH } from './tile-path.ts'

// How a log lies on disk. Each file only grows, so a flush is one append and one fsync per file, and a small
// log takes few blocks; the tiles of C2SP are slices of these files (docs/spec/logs.md).

export const HASH_BYTES = 32
/** A tile's or bundle's end in `entries.index`: unsigned, big-endian. */
export const OFFSET_BYTES = 8
/** Longest leaf, bounded by the length prefix of C2SP entry bundles. */
export const LEAF_MAX_BYTES = 65_535

export const logPaths = (path: string) => ({
  lock: `${path}/lock`,
  checkpoint: `${path}/checkpoint`,
  cosigned: `${path}/cosigned`,
  entries: `${path}/entries`,
  index: `${path}/entries.index`,
  hashes: (level: number) => `${path}/hashes-${level}`,
})

/** Hashes that tile level `level` holds for a log of `size` leaves. */
export function hashesAt(level: number, size: number): number {
  let count = size
  for (let i = 0; i < level; i++) count = Math.floor(count / TILE_WIDTH)
  return count
}

/** Tile levels of a log of `size` leaves: 0 for none, 1 up to 255 leaves, 2 from 256 on, … */
export function levelCount(size: number): number {
  let levels = 0
  for (let count = size; count > 0; count = Math.floor(count / TILE_WIDTH)) levels++
  return levels
}

export function splitHashes(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(bytes.length / HASH_BYTES) }, (_, i) =>
    bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  )
}

/** The first `count` entries of a bundle and where they end, or undefined when the bytes do not hold as many. */
export function readEntries(
  bytes: Uint8Array,
  count: number,
): { readonly entries: Uint8Array[]; readonly endBytes: number } | undefined {
  const entries: Uint8Array[] = []
  let at = 0
  while (entries.length < count) {
    if (at + 2 > bytes.length) return undefined
    const lengthBytes = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    if (at + 2 + lengthBytes > bytes.length) return undefined
    entries.push(bytes.subarray(at + 2, at + 2 + lengthBytes))
    at += 2 + lengthBytes
  }
  return { entries, endBytes: at }
}

/** What does not add up in a log's files; `file` is the path on the disk. */
export function damaged(file: string, what: string): AppError {
  return new AppError(
    'LOG_DAMAGED',
    `log file ${file}: ${what}; restore it from a copy, then verify the log`,
    { file, what },
  )
}
