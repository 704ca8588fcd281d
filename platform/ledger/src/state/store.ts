/** How many heights of tree versions a store keeps for proofs (protocol, Forms: State). */
export const HISTORY_HEIGHTS = 1_000
/** Layout of what a store holds. A store that finds a higher number refuses to open. */
export const STATE_FORMAT = 1
/** Longest key of a state row; LMDB pages of 4 KiB hold no more than 1,978. */
export const MAX_KEY_BYTES = 1_024
/** Longest value of a state row. */
export const MAX_VALUE_BYTES = 1_048_576

export type Entry = readonly [key: Uint8Array, value: Uint8Array]

/** Everything one block changes. It is applied whole or not at all. */
export interface StateChange {
  /** The block's height; must be the store's height + 1 (0 for genesis in an empty store). */
  readonly height: number
  /** Rows; `undefined` removes one. A key occurs at most once. */
  readonly puts: readonly (readonly [key: Uint8Array, value: Uint8Array | undefined])[]
  /** Tree pages made by this block, from `StateTree.update`. */
  readonly nodes: readonly Entry[]
  /** Keys of tree pages that this block replaced; dropped after `HISTORY_HEIGHTS` more heights. */
  readonly staleNodes: readonly Uint8Array[]
  /** Small named values of the runtime (head, replay sets, quotas); `undefined` removes one. */
  readonly meta: readonly (readonly [name: string, value: Uint8Array | undefined])[]
  /** The encoded block. */
  readonly block: Uint8Array
  /** What the block led to (block leaf, results, events), kept so that receipts can be made later. */
  readonly outcome: Uint8Array
}

export interface ScanOptions {
  /** Start behind this key (exclusive). */
  readonly after?: Uint8Array
  readonly limit?: number
}

/**
 * Rows, tree pages, blocks and head of one ledger, changed by one atomic durable transaction per block.
 * All methods are synchronous; byte arrays handed out are the caller's own copies.
 */
export interface StateStore {
  /** Where the data lies, for messages: a file name, or "memory". */
  readonly place: string
  /** Height of the last committed block, `undefined` when the store is empty. */
  height(): number | undefined
  get(key: Uint8Array): Uint8Array | undefined
  /** Rows whose key starts with `prefix`, ordered by bytes. Do not commit while iterating. */
  scan(prefix: Uint8Array, options?: ScanOptions): Iterable<Entry>
  getMeta(name: string): Uint8Array | undefined
  node(nodeKey: Uint8Array): Uint8Array | undefined
  block(height: number): Uint8Array | undefined
  outcome(height: number): Uint8Array | undefined
  /** Rows that the block at `height` overwrote or removed, as they were before; empty once pruned. */
  replaced(height: number): readonly Entry[]
  /**
   * @throws {AppError} STORE_MOVED when the height is not the next one (another process wrote), DISK_FULL;
   * in both cases nothing is changed.
   */
  commit(change: StateChange): void
  close(): void
}
