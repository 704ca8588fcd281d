import {
  AppError,
  equal,
  formatTlogProof,
  parseCheckpoint,
  parseNote,
  type SigningKey,
  toHex,
} from '@salus/core'
import type { Disk } from '@salus/host'
import type { Ledger } from '@salus/ledger'
import { blockLogOrigin, type ReceiptBlock, type Sufficient, TileLog } from '@salus/log'

export interface BlockLogOptions {
  readonly disk: Disk
  /** Directory of the log on `disk`. */
  readonly path: string
  /** Signs this node's copy; the operator's is the log's own key. */
  readonly key: SigningKey
  readonly sufficient?: Sufficient
}

/**
 * The tiled log of block leaves: leaf `h` is block `h`, genesis first. It may lag behind the ledger's store, never
 * lead it; what is missing is appended from the store when it opens.
 */
export interface BlockLog {
  readonly tiles: TileLog
  /** Height up to which blocks are in the log. */
  readonly height: number
  /** Appends what the ledger has beyond the log. Calls while it runs join in. */
  catchUp(): Promise<void>
  close(): Promise<void>
}

/** @throws {AppError} BLOCK_LOG_AHEAD when the log has blocks that the store lacks, BLOCK_LOG_DIFFERS */
export async function openBlockLog(ledger: Ledger, options: BlockLogOptions): Promise<BlockLog> {
  const tiles = await TileLog.open({ ...options, origin: blockLogOrigin(ledger.chainId) })
  let running: Promise<void> | undefined

  async function append(): Promise<void> {
    while (tiles.size <= ledger.head.height) {
      const leaves: Uint8Array[] = []
      const end = Math.min(ledger.head.height + 1, tiles.size + CATCH_UP_BLOCKS)
      for (let height = tiles.size; height < end; height++) leaves.push(leafAt(ledger, height))
      await tiles.appendMany(leaves)
    }
  }

  function catchUp(): Promise<void> {
    running ??= append().finally(() => {
      running = undefined
    })
    return running
  }

  try {
    await checkAgainst(ledger, tiles, options.path)
    await catchUp()
  } catch (error) {
    await tiles.close()
    throw error
  }
  return {
    tiles,
    get height() {
      return tiles.size - 1
    },
    catchUp,
    async close() {
      await running?.catch(() => {})
      await tiles.close()
    },
  }
}

const CATCH_UP_BLOCKS = 1_024

/** @throws {AppError} STATE_DAMAGED when the store has no outcome for a height up to its head */
export function leafAt(ledger: Ledger, height: number): Uint8Array {
  const outcome = ledger.outcome(height)
  if (!outcome)
    throw new AppError('STATE_DAMAGED', `the outcome of block ${height} is missing from the ledger’s store`, {
      height,
    })
  return outcome.leafBytes
}

async function checkAgainst(ledger: Ledger, tiles: TileLog, path: string): Promise<void> {
  const { height } = ledger.head
  if (tiles.size > height + 1)
    throw new AppError(
      'BLOCK_LOG_AHEAD',
      `${path}: the block log ends at block ${tiles.size - 1}, the ledger's store at ${height}; the store was rolled back. Restore a newer copy, or take the blocks again from another node`,
      { logged: tiles.size - 1, height },
    )
  if (tiles.size === 0) return
  const last = tiles.size - 1
  const logged = await tiles.leaf(last)
  const stored = leafAt(ledger, last)
  if (logged.length !== stored.length || !equal(logged, stored))
    throw new AppError(
      'BLOCK_LOG_DIFFERS',
      `${path}: block ${last} is ${toHex(logged)} in the block log and ${toHex(stored)} in the ledger's store; one of them is of another ledger`,
      { height: last },
    )
}

/** The newest sufficiently cosigned checkpoint of at least `size` blocks. */
export function cosignedNote(tiles: TileLog, size = 0): string | undefined {
  const found = tiles.cosignedCheckpoint(size)
  return found?.isSufficient ? found.note : undefined
}

/**
 * The block part of a receipt (protocol §12): its leaf, and its place under a cosigned checkpoint of the operator's.
 * Undefined while no such checkpoint covers the block.
 */
export async function proveBlock(
  ledger: Ledger,
  { tiles }: BlockLog,
  height: number,
  cosigned: string | undefined,
): Promise<ReceiptBlock | undefined> {
  if (cosigned === undefined || height > ledger.head.height) return undefined
  const { size } = parseCheckpoint(parseNote(cosigned).text)
  if (size <= height || size > tiles.size) return undefined
  const hashes = await tiles.inclusion(height, size)
  return {
    leaf: leafAt(ledger, height),
    proof: formatTlogProof({ index: height, hashes, checkpoint: cosigned }),
  }
}
