import {
  AppError,
  type Checkpoint,
  consistencyRanges,
  equal,
  Frontier,
  formatCheckpoint,
  formatNote,
  formatTlogProof,
  inclusionRanges,
  type NoteSignature,
  noteSignature,
  openCheckpoint,
  type SigningKey,
  utf8,
  type VerifierKey,
  verifierKey,
  verifyConsistency,
  verifyInclusion,
} from '@salus/core'
import type { Disk, DiskLock } from '@salus/host'
import { integrate } from './batch.ts'
import type { CosignedCheckpoints } from './cosigned.ts'
import { GroupCommit } from './group-commit.ts'
import type { LogFiles } from './log-files.ts'
import { damaged, hashesAt, logPaths, readEntries } from './log-layout.ts'
import { type Recovered, recover, type TileLogOptions } from './recover.ts'
import { parseTilePath, TILE_WIDTH } from './tile-path.ts'
import type { TileReader } from './tile-reader.ts'

/**
 * An append-only Merkle log after C2SP tlog-tiles v0.1: SHA-256, RFC 6962, signed checkpoints.
 * One process holds it at a time. Reads see only what is durable and under a signed checkpoint.
 */
export class TileLog {
  readonly origin: string
  readonly verifierKey: VerifierKey
  readonly #key: SigningKey
  readonly #disk: Disk
  readonly #paths: ReturnType<typeof logPaths>
  readonly #lock: DiskLock
  readonly #files: LogFiles
  readonly #tiles: TileReader
  readonly #cosigned: CosignedCheckpoints
  #frontier: Frontier
  readonly #queue = new GroupCommit((leaves) => this.#flush(leaves))
  #failed: AppError | undefined
  #closed = false
  #lastCosign: Promise<void> = Promise.resolve()

  private constructor({ origin, key, disk, path }: TileLogOptions, parts: Recovered) {
    this.origin = origin
    this.verifierKey = verifierKey(origin, key.publicKey)
    this.#key = key
    this.#disk = disk
    this.#paths = logPaths(path)
    this.#lock = parts.lock
    this.#files = parts.files
    this.#tiles = parts.tiles
    this.#cosigned = parts.cosigned
    this.#frontier = parts.frontier
  }

  /**
   * Opens the log, or makes an empty one. Bytes beyond the last checkpoint (a crash's rest, never acknowledged) are cut.
   * @throws `AppError` LOG_DAMAGED naming the file, LOG_ROLLED_BACK, DISK_LOCKED
   */
  static async open(options: TileLogOptions): Promise<TileLog> {
    const recovered = await recover(options)
    const log = new TileLog(options, recovered)
    try {
      if (options.held !== undefined)
        await log.#checkHeld(openCheckpoint(options.held, [log.verifierKey]).checkpoint)
    } catch (error) {
      await log.close()
      throw error
    }
    return log
  }

  /** Leaves that are durable and under the signed checkpoint. */
  get size(): number {
    return this.#frontier.size
  }

  /** RFC 6962 root over all leaves. */
  get root(): Uint8Array {
    return this.#frontier.root()
  }

  /**
   * Appends one leaf (≤ 65,535 bytes); resolves when it is durable and under a signed, durable checkpoint.
   * Calls made while a flush runs share the next one.
   * @throws `AppError` LEAF_TOO_LONG, LOG_BUSY (too much waits), DISK_FULL (nothing of it was kept; try again), LOG_STOPPED
   */
  append(leaf: Uint8Array): Promise<{ readonly index: number }> {
    return this.appendMany([leaf])
  }

  /** Appends leaves next to each other, all or none; `index` is the first one's. At most 8,192 leaves and 8 MiB. */
  async appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }> {
    if (this.#closed) throw new AppError('LOG_CLOSED', 'the log is closed')
    if (this.#failed) throw this.#failed
    return leaves.length === 0 ? { index: this.size } : this.#queue.add(leaves)
  }

  /** The newest checkpoint as a signed note, with the cosignatures it already has. */
  checkpoint(): string {
    return this.#signed({ origin: this.origin, size: this.size, root: this.root })
  }

  /** A signed checkpoint of an earlier size, with the cosignatures kept of it. */
  async checkpointAt(size: number): Promise<string> {
    return this.#signed({ origin: this.origin, size, root: await this.rootAt(size) })
  }

  /**
   * The newest checkpoint of at least `size` leaves that is sufficiently cosigned: what receipts are proven under.
   * As long as there is none, `isSufficient` is false and it is the one with the most cosigners.
   */
  cosignedCheckpoint(
    size = 0,
  ): { readonly size: number; readonly note: string; readonly isSufficient: boolean } | undefined {
    const sufficient = this.#cosigned.newest(size)
    const found = sufficient ?? this.#cosigned.fullest(size)
    return (
      found && {
        size: found.size,
        note: this.#noted(found.text, found.signatures),
        isSufficient: sufficient !== undefined,
      }
    )
  }

  /**
   * Stores cosignatures. `note` is a checkpoint of this log with lines by `cosigners`; others' lines are left out.
   * @throws `AppError` NOTE_SIGNATURE when none of them signed, CHECKPOINT_UNKNOWN when this log never issued it
   */
  async addCosignatures(note: string, cosigners: readonly VerifierKey[]): Promise<void> {
    const opened = openCheckpoint(note, cosigners)
    const { origin, size, root } = opened.checkpoint
    if (opened.note.text !== formatCheckpoint({ origin: this.origin, size, root }) || origin !== this.origin)
      throw new AppError('CHECKPOINT_UNKNOWN', 'checkpoint: not of this log', { size })
    if (size > this.size || !equal(await this.rootAt(size), root))
      throw new AppError('CHECKPOINT_UNKNOWN', 'checkpoint: this log never had this root at this size', {
        size,
      })
    const added = this.#lastCosign.then(() => this.#cosigned.add(opened))
    this.#lastCosign = added.catch(() => undefined)
    return added
  }

  /** The root that the first `size` leaves have. */
  async rootAt(size: number): Promise<Uint8Array> {
    this.#checkSize(size)
    if (size === this.size) return this.root
    if (size === 0) return new Frontier().root()
    const [root] = await this.#tiles.ranges([{ begin: 0, count: size }])
    return root as Uint8Array
  }

  /** The bytes of one leaf. */
  async leaf(index: number): Promise<Uint8Array> {
    this.#checkIndex(index, this.size)
    const bundle = Math.floor(index / TILE_WIDTH)
    const within = index % TILE_WIDTH
    const leaf = readEntries(await this.#files.bundle(bundle), within + 1)?.entries[within]
    if (!leaf) throw damaged(this.#paths.entries, `entry ${index} is cut off`)
    return leaf
  }

  /** Leaves from `begin` on, in order: what followers and auditors read. Ends at the size when it was called. */
  async *leaves(begin = 0, end = this.size): AsyncGenerator<Uint8Array> {
    this.#checkSize(end)
    for (let bundle = Math.floor(begin / TILE_WIDTH); bundle * TILE_WIDTH < end; bundle++) {
      const from = bundle * TILE_WIDTH
      const read = readEntries(await this.#files.bundle(bundle), Math.min(TILE_WIDTH, end - from))
      if (!read) throw damaged(this.#paths.entries, `bundle ${bundle} is cut off`)
      yield* read.entries.slice(Math.max(0, begin - from))
    }
  }

  /**
   * RFC 6962 §2.1.1 proof that leaf `index` is among the first `size` leaves; checked before it is given out.
   * @throws `AppError` LOG_RANGE, LOG_DAMAGED when the tiles no longer lead to the root
   */
  async inclusion(index: number, size = this.size): Promise<Uint8Array[]> {
    this.#checkSize(size)
    this.#checkIndex(index, size)
    const [proof, root, hash] = await Promise.all([
      this.#tiles.ranges(inclusionRanges(index, size)),
      this.rootAt(size),
      this.#tiles.node({ level: 0, index }),
    ])
    if (!verifyInclusion({ leafHash: hash, index, size, proof, root }))
      throw damaged(this.#paths.hashes(0), `the path of leaf ${index} does not lead to the root`)
    return proof
  }

  /** RFC 6962 §2.1.2 proof that the first `from` leaves begin the first `to`; empty for 0 and for equal sizes. */
  async consistency(from: number, to = this.size): Promise<Uint8Array[]> {
    this.#checkSize(to)
    this.#checkIndex(from, to + 1)
    if (from === 0 || from === to) return []
    const proof = await this.#tiles.ranges(consistencyRanges(from, to))
    const [root1, root2] = await Promise.all([this.rootAt(from), this.rootAt(to)])
    if (!verifyConsistency({ size1: from, size2: to, root1, root2, proof }))
      throw damaged(this.#paths.hashes(0), `sizes ${from} and ${to} do not join`)
    return proof
  }

  /** C2SP tlog-proof text of leaf `index` under the checkpoint of `size` leaves, with the cosignatures kept of it. */
  async proof(index: number, size = this.size): Promise<string> {
    const [hashes, checkpoint] = await Promise.all([this.inclusion(index, size), this.checkpointAt(size)])
    return formatTlogProof({ index, hashes, checkpoint })
  }

  /** The resource at a C2SP tlog-tiles path (`checkpoint`, `tile/…`), or undefined when the log does not have it yet. */
  async resource(path: string): Promise<Uint8Array | undefined> {
    if (path === 'checkpoint') return utf8(this.checkpoint())
    const { level, index, width } = parseTilePath(path)
    const start = index * TILE_WIDTH
    if (start + width > hashesAt(level === 'entries' ? 0 : level, this.size)) return undefined
    if (level !== 'entries') return this.#files.hashes(level, start, width)
    const bytes = await this.#files.bundle(index)
    const read = readEntries(bytes, width)
    if (!read) throw damaged(this.#paths.entries, `bundle ${index} is cut off`)
    return bytes.subarray(0, read.endBytes)
  }

  /** Lets accepted appends finish, then closes the files and gives the lock back. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#queue.idle()
    await this.#lastCosign
    await this.#files.close()
    await this.#lock.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #flush(leaves: readonly Uint8Array[]): Promise<number> {
    if (this.#failed) throw this.#failed
    const index = this.size
    const { growth, levels, frontier } = integrate(this.#frontier, this.#files.entriesBytes, leaves)
    await this.#write(growth, { origin: this.origin, size: frontier.size, root: frontier.root() })
    this.#files.commit(frontier.size, growth)
    this.#tiles.extend(frontier.size, levels)
    this.#frontier = frontier
    return index
  }

  async #write(growth: Parameters<LogFiles['grow']>[0], checkpoint: Checkpoint): Promise<void> {
    try {
      // Entries and tiles first: a checkpoint vouches for what is already durable.
      await this.#files.grow(growth)
      await this.#disk.write(this.#paths.checkpoint, utf8(this.#signed(checkpoint)))
    } catch (error) {
      // Out of space is certain to have changed no checkpoint. After anything else, what is durable is
      // unknown, and a log that guessed could sign two histories: it stops until it is opened again.
      const mendable = error instanceof AppError && error.code === 'DISK_FULL'
      const undone =
        mendable &&
        (await this.#files.undo().then(
          () => true,
          () => false,
        ))
      if (!undone)
        this.#failed = new AppError(
          'LOG_STOPPED',
          'the disk failed under the log; open the log again',
          {},
          { cause: error },
        )
      throw undone ? error : this.#failed
    }
  }

  #signed(checkpoint: Checkpoint): string {
    const text = formatCheckpoint(checkpoint)
    return this.#noted(text, this.#cosigned.of(text))
  }

  #noted(text: string, cosignatures: readonly NoteSignature[]): string {
    return formatNote({
      text,
      signatures: [noteSignature(text, { name: this.origin, key: this.#key }), ...cosignatures],
    })
  }

  async #checkHeld({ size, root }: Checkpoint): Promise<void> {
    if (size > this.size || !equal(await this.rootAt(size), root))
      throw new AppError(
        'LOG_ROLLED_BACK',
        'the log lacks leaves that its own checkpoint, held elsewhere, vouches for; restore a newer copy',
        {
          size: this.size,
          heldSize: size,
        },
      )
  }

  #checkSize(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.size)
      throw new AppError('LOG_RANGE', 'size: must be 0 up to the size of the log', {
        size,
        logSize: this.size,
      })
  }

  #checkIndex(index: number, end: number): void {
    if (!Number.isSafeInteger(index) || index < 0 || index >= end)
      throw new AppError('LOG_RANGE', 'index: must be below the size', { index, size: end })
  }
}
