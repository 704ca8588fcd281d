import type { BlockOutcome, LedgerHead } from '@salus/ledger'
import type { ReceiptBlock } from '@salus/log'

/** A block that is final here: executed by this node and durable. */
export interface CommittedBlock {
  readonly height: number
  readonly timeMs: number
  /** The block as it was ordered (`decodeBlock`). */
  readonly bytes: Uint8Array
  /** Block leaf, results of bundles and bodies, events. */
  readonly outcome: BlockOutcome
}

/** Something that a person must look at. It stays in `health` until the engine is opened again. */
export interface Alarm {
  /**
   * ROOT_MISMATCH: this node's execution differs from the operator's · LOG_FORKED: the operator signed another block
   * log than the one executed here · ROLLED_BACK: this node's data is older than what it has cosigned · CLOCK: block
   * time and this node's clock differ by more than 30 s · BLOCK_REFUSED: what the operator sent is no block of this ledger ·
   * STOPPED: the store or the log failed.
   */
  readonly code: 'ROOT_MISMATCH' | 'LOG_FORKED' | 'ROLLED_BACK' | 'CLOCK' | 'BLOCK_REFUSED' | 'STOPPED'
  readonly message: string
  readonly height: number
  /** This node's clock. */
  readonly timeMs: number
}

export interface EngineHealth {
  readonly role: 'operator' | 'follower'
  readonly head: LedgerHead
  /** This node's clock less the head's time. */
  readonly headAgeMs: number
  /** Bundles that wait here for a block. */
  readonly waitingBundles: number
  /** Height up to which blocks are in this node's block log. */
  readonly loggedHeight: number
  readonly paused: boolean
  /** False once a failure stopped the engine; on a follower also while the operator does not answer. */
  readonly working: boolean
  readonly alarms: readonly Alarm[]
}

/**
 * Who orders blocks, seen from one node. Blocks come in order, each once, already executed and durable here.
 * Every engine passes `engine.suite.ts`.
 */
export interface Engine {
  /**
   * Gives the wire form of a bundle to be ordered. Resolves when it waits for a block; the same bundle again is not an
   * error and is ordered once. Resolving promises no block: until its `until` the bundle may be given again.
   * @throws {AppError} BUNDLE_REFUSED with the runtime code in `data.code`, BAD_SIGNATURE; QUOTA and ENGINE_FULL with
   * `retryAfterMs`; ENGINE_STOPPED, UNREACHABLE (a follower whose operator does not answer)
   */
  submit(bundle: Uint8Array): Promise<void>
  /** A committed block from height 1 on; undefined above the head. */
  blockAt(height: number): CommittedBlock | undefined
  /** Calls `listener` for every block committed from now on, until the returned function is called. */
  subscribe(listener: (block: CommittedBlock) => void): () => void
  /** The block part of a receipt; undefined until a cosigned checkpoint covers the block. */
  blockProof(height: number): Promise<ReceiptBlock | undefined>
  head(): LedgerHead
  health(): EngineHealth
  /** Lets the block under way finish, then closes the block log. The ledger's store stays the caller's to close. */
  close(): Promise<void>
}
