import type { AppendFile, Disk } from '@salus/host'
import {
  damaged,
  HASH_BYTES,
  hashesAt,
  LEAF_MAX_BYTES,
  levelCount,
  logPaths,
  OFFSET_BYTES,
  readEntries,
} from './log-layout.ts'
import { TILE_WIDTH } from './tile-path.ts'

/** What one flush adds to the files. */
export interface Growth {
  readonly entries: Uint8Array
  /** Ends of the bundles that became full, as bytes of `entries.index`. */
  readonly index: Uint8Array
  /** New hashes of each tile level. */
  readonly levels: readonly Uint8Array[]
}

/** The growing files of one log, cut to a size at which they agree. */
export class LogFiles {
  readonly #disk: Disk
  readonly #paths: ReturnType<typeof logPaths>
  readonly #files = new Map<string, AppendFile>()
  /** Where each full bundle ends in `entries`. */
  readonly #bundleEnds: number[]
  #size: number
  #entriesBytes = 0

  private constructor(disk: Disk, path: string, size: number, bundleEnds: number[]) {
    this.#disk = disk
    this.#paths = logPaths(path)
    this.#size = size
    this.#bundleEnds = bundleEnds
  }

  /** Opens the files for the `size` leaves that a checkpoint vouches for, and cuts what lies beyond. */
  static async open(disk: Disk, path: string, size: number): Promise<LogFiles> {
    const paths = logPaths(path)
    const files = new LogFiles(disk, path, size, await readBundleEnds(disk, paths.index, size))
    try {
      const lastFull = files.#bundleEnds.at(-1) ?? 0
      const tail = size % TILE_WIDTH
      const bytes = tail === 0 ? new Uint8Array(0) : await readTail(disk, paths.entries, lastFull)
      const parsed = readEntries(bytes, tail)
      if (!parsed) throw damaged(paths.entries, `ends before entry ${size}`)
      files.#entriesBytes = lastFull + parsed.endBytes
      await files.#cut(paths.entries, files.#entriesBytes)
      await files.#cut(paths.index, files.#bundleEnds.length * OFFSET_BYTES)
      // Every level there can be: files of one flush appear in any order, so a crash can leave a level without the ones below.
      for (let level = 0; level < levelCount(Number.MAX_SAFE_INTEGER); level++)
        await files.#cut(paths.hashes(level), hashesAt(level, size) * HASH_BYTES)
      return files
    } catch (error) {
      await files.close()
      throw error
    }
  }

  /** Appends and makes durable. On failure the files hold an unknown part of it until `undo`. */
  async grow(growth: Growth): Promise<void> {
    const parts: [path: string, bytes: Uint8Array][] = [
      [this.#paths.entries, growth.entries],
      [this.#paths.index, growth.index],
      ...growth.levels.map((bytes, level): [string, Uint8Array] => [this.#paths.hashes(level), bytes]),
    ]
    const results = await Promise.allSettled(
      parts
        .filter(([, bytes]) => bytes.length > 0)
        .map(async ([path, bytes]) => {
          const file = await this.#file(path)
          await file.append(bytes)
          await file.sync()
        }),
    )
    // Every file has come to rest before anyone may cut them.
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  /** Takes the growth as part of the log, once its checkpoint is durable. */
  commit(size: number, growth: Growth): void {
    for (let at = 0; at < growth.index.length; at += OFFSET_BYTES)
      this.#bundleEnds.push(readOffset(growth.index, at))
    this.#size = size
    this.#entriesBytes += growth.entries.length
  }

  /** Cuts the files back to the committed size, after a failed `grow`. */
  async undo(): Promise<void> {
    for (const [path, file] of this.#files) {
      const committed = this.#committedBytes(path)
      if (file.size > committed) await file.truncate(committed)
    }
  }

  get entriesBytes(): number {
    return this.#entriesBytes
  }

  /** `count` hashes of a tile level from `start` on; the caller stays within the committed size. */
  async hashes(level: number, start: number, count: number): Promise<Uint8Array> {
    const path = this.#paths.hashes(level)
    const bytes = await this.#disk.readRange(path, start * HASH_BYTES, count * HASH_BYTES)
    if (bytes.length < count * HASH_BYTES) throw damaged(path, `ends before hash ${start + count}`)
    return bytes
  }

  /** The bytes of entry bundle `index`, as far as committed. */
  async bundle(index: number): Promise<Uint8Array> {
    const begin = index === 0 ? 0 : this.#bundleEnds[index - 1]
    const end = this.#bundleEnds[index] ?? this.#entriesBytes
    if (begin === undefined) return new Uint8Array(0)
    const bytes = await this.#disk.readRange(this.#paths.entries, begin, end - begin)
    if (bytes.length < end - begin) throw damaged(this.#paths.entries, `ends inside bundle ${index}`)
    return bytes
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()))
  }

  #committedBytes(path: string): number {
    if (path === this.#paths.entries) return this.#entriesBytes
    if (path === this.#paths.index) return this.#bundleEnds.length * OFFSET_BYTES
    const level = Number(path.slice(path.lastIndexOf('-') + 1))
    return level < levelCount(this.#size) ? hashesAt(level, this.#size) * HASH_BYTES : 0
  }

  async #file(path: string): Promise<AppendFile> {
    const known = this.#files.get(path)
    if (known) return known
    const file = await this.#disk.openAppend(path)
    this.#files.set(path, file)
    return file
  }

  async #cut(path: string, sizeBytes: number): Promise<void> {
    const found = await this.#disk.stat(path)
    if ((found?.sizeBytes ?? 0) < sizeBytes)
      throw damaged(path, `has ${found?.sizeBytes ?? 0} bytes, the checkpoint needs ${sizeBytes}`)
    // What a crash left behind the checkpoint was never acknowledged.
    if (found && found.sizeBytes > sizeBytes) await (await this.#file(path)).truncate(sizeBytes)
  }
}

function readOffset(bytes: Uint8Array, at: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at))
}

async function readBundleEnds(disk: Disk, path: string, size: number): Promise<number[]> {
  const count = Math.floor(size / TILE_WIDTH)
  if (count === 0) return []
  const bytes = (await disk.stat(path))
    ? await disk.readRange(path, 0, count * OFFSET_BYTES)
    : new Uint8Array(0)
  if (bytes.length < count * OFFSET_BYTES) throw damaged(path, `has fewer than ${count} offsets`)
  const ends = Array.from({ length: count }, (_, i) => readOffset(bytes, i * OFFSET_BYTES))
  const rising = ends.every((end, i) => Number.isSafeInteger(end) && end >= (ends[i - 1] ?? 0))
  if (!rising) throw damaged(path, 'its offsets do not rise')
  return ends
}

async function readTail(disk: Disk, path: string, begin: number): Promise<Uint8Array> {
  if (!(await disk.stat(path))) return new Uint8Array(0)
  return disk.readRange(path, begin, TILE_WIDTH * (LEAF_MAX_BYTES + 2))
}
