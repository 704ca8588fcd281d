import {
  AppError,
  type Checkpoint,
  leafHash,
  openCheckpoint,
  verifierKey,
  verifyInclusion,
} from '@salus/core'
import type { View } from '../../runtime/define.ts'
import { organisations } from '../organisations/schema.ts'

/** A log as far as evidence about it goes. */
export interface LogName {
  readonly org: string
  readonly origin: string
}

/**
 * The checkpoint in a signed note if it is of this log and one of `keys` signed it; undefined otherwise.
 * The origin is the signer's name (C2SP tlog-checkpoint).
 */
export function signedCheckpoint(
  note: string,
  log: LogName,
  keys: readonly Uint8Array[],
): Checkpoint | undefined {
  for (const key of keys) {
    try {
      const { checkpoint } = openCheckpoint(note, [verifierKey(log.origin, key)])
      if (checkpoint.origin === log.origin) return checkpoint
    } catch (error) {
      // What the note says wrong is the submitter's fault; anything else must stop the node.
      if (!(error instanceof AppError)) throw error
    }
  }
  return undefined
}

/** All log keys an organisation ever had: a fork stays a fork after its key was replaced. */
export function everyLogKey(view: Pick<View, 'tablesOf'>, org: string): Uint8Array[] {
  return [...view.tablesOf(organisations).history.scan([org])].map(([, row]) => row.keys.log)
}

/** Whether `leaf` stands at `index` in the tree of a checkpoint. */
export function isIncluded(
  leaf: Uint8Array,
  index: number,
  tree: Pick<Checkpoint, 'size' | 'root'>,
  proof: readonly Uint8Array[],
): boolean {
  return verifyInclusion({ leafHash: leafHash(leaf), index, size: tree.size, root: tree.root, proof })
}
