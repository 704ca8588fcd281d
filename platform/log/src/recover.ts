import {
  type Checkpoint,
  equal,
  Frontier,
  foldNodes,
  fullNodes,
  leafHash,
  openCheckpoint,
  type SigningKey,
  signCheckpoint,
  utf8,
  verifierKey,
} from '@salus/core'
import type { Disk, DiskLock } from '@salus/host'
import { CosignedCheckpoints, type Sufficient } from './cosigned.ts'
import { LogFiles } from './log-files.ts'
import { damaged, logPaths, readEntries } from './log-layout.ts'
import { TILE_WIDTH } from './tile-path.ts'
import { TileReader } from './tile-reader.ts'

export interface TileLogOptions {
  readonly disk: Disk
  /** Directory of the log. */
  readonly path: string
  /** The log's name in its checkpoints, and of its key: one line without spaces and `+`. C2SP tlog-checkpoint. */
  readonly origin: string
  readonly key: SigningKey
  /** Which cosigners make a checkpoint fit for receipts; without it, any one. */
  readonly sufficient?: Sufficient
  /** A signed checkpoint of this log that somebody else holds: a log that lacks it was rolled back. */
  readonly held?: string
}

/** A log's parts, brought to the state of its last durable checkpoint. */
export interface Recovered {
  readonly lock: DiskLock
  readonly files: LogFiles
  readonly tiles: TileReader
  readonly cosigned: CosignedCheckpoints
  readonly frontier: Frontier
}

/** Takes the lock, cuts what lies beyond the checkpoint, and checks that the right edge leads to its root. */
export async function recover(options: TileLogOptions): Promise<Recovered> {
  const { disk, path, sufficient = (names) => names.length > 0 } = options
  const paths = logPaths(path)
  const lock = await disk.lock(paths.lock)
  let files: LogFiles | undefined
  try {
    const checkpoint = await readCheckpoint(options)
    files = await LogFiles.open(disk, path, checkpoint.size)
    const tiles = await TileReader.open(files, checkpoint.size)
    const frontier = await frontierOf(tiles, checkpoint, paths.hashes(0))
    await checkTail(files, tiles, checkpoint.size, paths.entries)
    const cosigned = await CosignedCheckpoints.open(disk, paths.cosigned, sufficient)
    return { lock, files, tiles, cosigned, frontier }
  } catch (error) {
    await files?.close()
    await lock.release()
    throw error
  }
}

/** The last durable checkpoint; a log without one is made here, so that a lost checkpoint is never taken for a new log. */
async function readCheckpoint({ disk, path, origin, key }: TileLogOptions): Promise<Checkpoint> {
  const paths = logPaths(path)
  const bytes = await disk.read(paths.checkpoint)
  if (!bytes) {
    if (await disk.stat(paths.entries)) throw damaged(paths.checkpoint, 'is missing though there are entries')
    const empty = { origin, size: 0, root: new Frontier().root() }
    await disk.write(paths.checkpoint, utf8(signCheckpoint(empty, [{ name: origin, key }])))
    return empty
  }
  try {
    const { checkpoint } = openCheckpoint(bytes, [verifierKey(origin, key.publicKey)])
    if (checkpoint.origin === origin) return checkpoint
  } catch (cause) {
    throw damaged(
      paths.checkpoint,
      `is not a checkpoint signed by this log's key (${cause instanceof Error ? cause.message : 'unreadable'})`,
    )
  }
  throw damaged(paths.checkpoint, 'is of a log with another origin')
}

async function frontierOf(tiles: TileReader, { size, root }: Checkpoint, file: string): Promise<Frontier> {
  if (size === 0) return new Frontier()
  const hashes = await Promise.all(fullNodes({ begin: 0, count: size }).map((node) => tiles.node(node)))
  if (!equal(foldNodes(hashes), root))
    throw damaged(file, 'its hashes do not lead to the root of the checkpoint')
  return new Frontier(size, hashes)
}

/** The last bundle against its hashes: where a torn write or a tamperer at the edge shows at once. */
async function checkTail(files: LogFiles, tiles: TileReader, size: number, file: string): Promise<void> {
  if (size === 0) return
  const bundle = Math.floor((size - 1) / TILE_WIDTH)
  const read = readEntries(await files.bundle(bundle), size - bundle * TILE_WIDTH)
  if (!read) throw damaged(file, `bundle ${bundle} is cut off`)
  for (const [i, entry] of read.entries.entries()) {
    const index = bundle * TILE_WIDTH + i
    if (!equal(leafHash(entry), await tiles.node({ level: 0, index })))
      throw damaged(file, `entry ${index} does not match its hash`)
  }
}
