import {
  AppError,
  type Checkpoint,
  cosign,
  equal,
  formatCheckpoint,
  formatNote,
  type NoteSigner,
  toHex,
} from '@salus/core'
import type { Clock, Disk } from '@salus/host'
import type { Ledger } from '@salus/ledger'
import type { BlockLog } from './block-log.ts'
import { openCosignMark } from './cosign-mark.ts'

/** Largest difference between block time and this node's clock at which it still cosigns (protocol §11, Time). */
export const CLOCK_DEVIATION_MS = 30_000

export interface CosignerOptions {
  readonly disk: Disk
  /** File of the high-water mark; apart from the ledger's data. */
  readonly path: string
  readonly signer: NoteSigner
  readonly ledger: Ledger
  /** The log of the blocks that this node executed itself. */
  readonly blockLog: BlockLog
  readonly clock: Clock
}

/** Cosigns checkpoints of the block log: only what this node executed, and never below its high-water mark. */
export interface Cosigner {
  /**
   * A note of the checkpoint with this node's cosignature alone. The mark is raised, durably, before it is signed.
   * @throws {AppError} LOG_FORKED, ROLLED_BACK, CLOCK: withheld, and worth an alarm; COSIGN_EARLY: not executed yet;
   * COSIGN_OLD: smaller than one cosigned before
   */
  sign(checkpoint: Checkpoint): Promise<string>
  /** Tells that a block of this time was executed now: what it is from this node's clock decides about the next cosignature. */
  executed(timeMs: number): void
  /** @throws {AppError} ROLLED_BACK when this node has cosigned more than it holds now */
  check(): Promise<void>
}

export async function openCosigner({
  disk,
  path,
  signer,
  ledger,
  blockLog,
  clock,
}: CosignerOptions): Promise<Cosigner> {
  const kept = await openCosignMark(disk, path)
  let last: Promise<unknown> = Promise.resolve()
  let deviationMs: number | undefined

  async function check(): Promise<void> {
    const { mark } = kept
    if (!mark) return
    const { tiles } = blockLog
    if (mark.size > tiles.size)
      throw new AppError(
        'ROLLED_BACK',
        `this node cosigned ${mark.size} blocks and holds ${tiles.size}: its data is older than its word; it cosigns again once it has executed them`,
        { cosigned: mark.size, held: tiles.size },
      )
    const root = await tiles.rootAt(mark.size)
    if (!equal(root, mark.root))
      throw new AppError(
        'LOG_FORKED',
        `this node cosigned root ${toHex(mark.root)} for ${mark.size} blocks and now has ${toHex(root)}`,
        { size: mark.size, cosigned: toHex(mark.root), held: toHex(root) },
      )
  }

  async function sign({ origin, size, root }: Checkpoint): Promise<string> {
    await check()
    const { tiles } = blockLog
    if (size > tiles.size)
      throw new AppError(
        'COSIGN_EARLY',
        `the checkpoint has ${size} blocks, executed here are ${tiles.size}`,
        { size },
      )
    if (kept.mark && size < kept.mark.size)
      throw new AppError(
        'COSIGN_OLD',
        `the checkpoint has ${size} blocks, cosigned here are ${kept.mark.size}`,
        { size },
      )
    const own = await tiles.rootAt(size)
    if (!equal(own, root))
      throw new AppError(
        'LOG_FORKED',
        `the operator signed root ${toHex(root)} for ${size} blocks, executed here they have ${toHex(own)}`,
        { size, operator: toHex(root), own: toHex(own) },
      )
    const { height, timeMs } = ledger.head
    const offMs = deviationMs ?? timeMs - clock.now()
    if (Math.abs(offMs) > CLOCK_DEVIATION_MS)
      throw new AppError(
        'CLOCK',
        `block ${height} was ${offMs} ms from this node's clock, more than ${CLOCK_DEVIATION_MS}: not cosigned; check both clocks`,
        { height, deviationMs: offMs },
      )
    if (kept.mark?.size !== size) await kept.raise({ size, root })
    const text = formatCheckpoint({ origin, size, root })
    return formatNote({ text, signatures: [cosign(text, signer, Math.floor(clock.now() / 1000))] })
  }

  return {
    check,
    executed(timeMs) {
      deviationMs = timeMs - clock.now()
    },
    sign(checkpoint) {
      // One after another, or a smaller checkpoint could slip below a mark that is being raised.
      const done = last.then(() => sign(checkpoint))
      last = done.catch(() => {})
      return done
    },
  }
}
