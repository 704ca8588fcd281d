import { AppError } from '@salus/core'
import { LEAF_MAX_BYTES } from './log-layout.ts'

interface Waiting {
  readonly leaves: readonly Uint8Array[]
  readonly resolve: (placed: { readonly index: number }) => void
  readonly reject: (error: unknown) => void
}

const BATCH_MAX_LEAVES = 8_192
const BATCH_MAX_BYTES = 8 << 20
const WAITING_MAX_LEAVES = 131_072

/** Collects what arrives while a flush runs, so that many appenders share the cost of one. */
export class GroupCommit {
  readonly #flush: (leaves: readonly Uint8Array[]) => Promise<number>
  #waiting: Waiting[] = []
  #waitingLeaves = 0
  #running: Promise<void> | undefined

  /** @param flush makes leaves durable, all or none, and gives the index of the first; one at a time is asked for */
  constructor(flush: (leaves: readonly Uint8Array[]) => Promise<number>) {
    this.#flush = flush
  }

  /** Resolves when the leaves are flushed, next to each other. */
  add(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }> {
    checkLeaves(leaves)
    if (this.#waitingLeaves + leaves.length > WAITING_MAX_LEAVES)
      throw new AppError(
        'LOG_BUSY',
        `more than ${WAITING_MAX_LEAVES} leaves wait to be written; try again later`,
      )
    return new Promise((resolve, reject) => {
      this.#waiting.push({ leaves, resolve, reject })
      this.#waitingLeaves += leaves.length
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take()
      try {
        let index = await this.#flush(batch.flatMap((one) => one.leaves))
        for (const one of batch) {
          one.resolve({ index })
          index += one.leaves.length
        }
      } catch (error) {
        for (const one of batch) one.reject(error)
      }
    }
    this.#running = undefined
  }

  #take(): Waiting[] {
    let leaves = 0
    let sizeBytes = 0
    const count = this.#waiting.findIndex((one) => {
      leaves += one.leaves.length
      for (const leaf of one.leaves) sizeBytes += leaf.length
      return leaves > BATCH_MAX_LEAVES || sizeBytes > BATCH_MAX_BYTES
    })
    const batch = this.#waiting.splice(0, count === -1 ? this.#waiting.length : Math.max(1, count))
    for (const one of batch) this.#waitingLeaves -= one.leaves.length
    return batch
  }
}

function checkLeaves(leaves: readonly Uint8Array[]): void {
  let sizeBytes = 0
  for (const leaf of leaves) {
    if (leaf.length > LEAF_MAX_BYTES)
      throw new AppError('LEAF_TOO_LONG', `leaf: at most ${LEAF_MAX_BYTES} bytes`, { sizeBytes: leaf.length })
    sizeBytes += leaf.length
  }
  if (leaves.length > BATCH_MAX_LEAVES || sizeBytes > BATCH_MAX_BYTES)
    throw new AppError(
      'LEAF_TOO_LONG',
      `leaves: at most ${BATCH_MAX_LEAVES} and ${BATCH_MAX_BYTES} bytes at once`,
      {
        count: leaves.length,
        sizeBytes,
      },
    )
}
