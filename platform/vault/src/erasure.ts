import { AppError, type CborValue, concat, decode, encode } from '@salus/core'
import type { Disk } from '@salus/host'
import { FRAME_BYTES, frameHeader } from './pack-format.ts'

/** One stretch to destroy: the frames of a pack, or a file of its own (`pack` undefined). */
export interface Stretch {
  readonly file: string
  readonly offset: number
  /** Lengths of the objects in adjacent frames, in order; for a file of its own: its one length. */
  readonly lengths: readonly number[]
  readonly wholeFile: boolean
}

const LIMITS = { maxBytes: 64 * 1024 * 1024, maxDepth: 4 }
const ZEROS_AT_ONCE = 4 * 1024 * 1024

/** An erasure that was begun; it says where, never what. The file exists from before the first zero until after the last. */
export function encodeErasure(stretches: readonly Stretch[]): Uint8Array {
  const rows: CborValue = stretches.map((each) => [each.file, each.offset, each.lengths, each.wholeFile])
  return encode([1, rows])
}

export function decodeErasure(bytes: Uint8Array, file: string): Stretch[] {
  const value = decode(bytes, LIMITS)
  const rows = Array.isArray(value) && value[0] === 1 && Array.isArray(value[1]) ? value[1] : undefined
  const stretches = rows?.map(stretchOf)
  if (stretches === undefined || stretches.includes(undefined)) {
    throw new AppError(
      'VAULT_FORMAT',
      `${file}: not an erasure journal of version 1; restore it or remove it`,
      { file },
    )
  }
  return stretches.filter((each) => each !== undefined)
}

function stretchOf(row: CborValue): Stretch | undefined {
  if (!Array.isArray(row)) return undefined
  const [file, offset, lengths, wholeFile] = row as readonly CborValue[]
  if (typeof file !== 'string' || typeof offset !== 'number' || typeof wholeFile !== 'boolean')
    return undefined
  if (!Array.isArray(lengths) || !lengths.every((each) => typeof each === 'number')) return undefined
  return { file, offset, lengths: lengths as number[], wholeFile }
}

/** Writes zeros over every stretch. Doing it twice is the same as doing it once. */
export async function destroy(disk: Disk, stretches: readonly Stretch[]): Promise<void> {
  for (const stretch of stretches) {
    if (stretch.wholeFile) await destroyFile(disk, stretch.file)
    else await disk.overwrite(stretch.file, stretch.offset, erasedFrames(stretch.lengths))
  }
}

async function destroyFile(disk: Disk, file: string): Promise<void> {
  const stat = await disk.stat(file)
  if (stat === undefined) return
  for (let offset = 0; offset < stat.sizeBytes; offset += ZEROS_AT_ONCE) {
    await disk.overwrite(file, offset, new Uint8Array(Math.min(ZEROS_AT_ONCE, stat.sizeBytes - offset)))
  }
  await disk.remove(file)
}

const erasedFrames = (lengths: readonly number[]): Uint8Array =>
  concat(...lengths.flatMap((length) => [frameHeader('erased', length), new Uint8Array(length)]))

/** Bytes of a stretch of frames. */
export const stretchBytes = (lengths: readonly number[]): number =>
  lengths.reduce((sum, length) => sum + FRAME_BYTES + length, 0)
