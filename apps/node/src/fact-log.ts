import { AppError, equal, type Random } from '@salus/core'
import type { Clock, Timer } from '@salus/host'
import { type Ledger, log, logIdOf, signBody } from '@salus/ledger'
import { factLogOrigin, type TileLog } from '@salus/log'
import type { LedgerAccess } from './ledger-access.ts'
import type { Organisation } from './organisation.ts'

/** How often a log that grew is anchored (protocol §12). */
const ANCHOR_MS = 10_000
const BODY_LIFE_MS = 5 * 60_000

/** What the ledger holds of the log: its last anchor. */
export interface Anchor {
  readonly size: number
  readonly root: Uint8Array
  /** Block that anchored it. */
  readonly height: number
}

/**
 * The organisation's fact log and its anchor on the ledger. The ledger's contract checks the consistency proof, so a
 * log that was rolled back or rewritten cannot be anchored again.
 */
export class FactLog {
  readonly tiles: TileLog
  readonly logId: Uint8Array
  readonly #parts: FactLogParts
  #timer: Timer | undefined
  #anchoring: Promise<Anchor | undefined> | undefined
  #closed = false
  #problem: string | undefined

  constructor(parts: FactLogParts) {
    this.#parts = parts
    this.tiles = parts.tiles
    const { org } = parts.organisation
    this.logId = logIdOf(org, factLogOrigin(parts.access.chainId, org))
  }

  appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }> {
    return this.tiles.appendMany(leaves)
  }

  /** The last anchor; undefined before the first. */
  anchor(): Anchor | undefined {
    const row = this.#parts.ledger.query(log, 'get', { logId: this.logId })?.log
    return row === undefined || row.size === 0
      ? undefined
      : { size: row.size, root: row.root, height: row.height }
  }

  /** Why the last attempt to anchor failed, for health; undefined when it did not. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Begins to anchor at intervals. */
  start(): void {
    this.#timer ??= this.#parts.clock.schedule(ANCHOR_MS, () => {
      this.#timer = undefined
      void this.anchorNow()
        .catch((error: unknown) => {
          this.#problem = error instanceof AppError ? error.code : 'ANCHOR_FAILED'
        })
        .finally(() => {
          if (!this.#closed) this.start()
        })
    })
  }

  /** Anchors what has grown; resolves with the newest anchor once it is final. Throws AppError of the ledger. */
  anchorNow(): Promise<Anchor | undefined> {
    this.#anchoring ??= this.#anchor().finally(() => {
      this.#anchoring = undefined
    })
    return this.#anchoring
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#anchoring?.catch(() => undefined)
    await this.tiles.close()
  }

  async #anchor(): Promise<Anchor | undefined> {
    const { ledger, access, organisation } = this.#parts
    if (ledger.query(log, 'get', { logId: this.logId }) === undefined)
      await this.#call('log/open', { org: organisation.org, origin: this.tiles.origin })
    const before = ledger.query(log, 'get', { logId: this.logId })?.log
    const { size } = this.tiles
    if (before === undefined || size === before.size) return this.anchor()
    if (
      size < before.size ||
      !equal(
        await this.tiles.rootAt(before.size),
        before.size === 0 ? await this.tiles.rootAt(0) : before.root,
      )
    )
      throw new AppError(
        'LOG_ROLLED_BACK',
        'log: is older than, or differs from, what the ledger anchors; restore the newer copy',
      )
    const note = await this.tiles.checkpointAt(size)
    const proof = before.size === 0 ? [] : await this.tiles.consistency(before.size, size)
    await this.#call('log/anchor', { logId: this.logId, oldSize: before.size, note, proof })
    this.#problem = undefined
    return this.anchor() ?? { size, root: await this.tiles.rootAt(size), height: access.head().height }
  }

  async #call(call: string, args: Parameters<typeof signBody>[0]['args']): Promise<void> {
    const { access, organisation, clock, random } = this.#parts
    const untilMs = Math.max(clock.now(), access.head().timeMs) + BODY_LIFE_MS
    await access.execute(
      signBody({ chainId: access.chainId, call, args, untilMs, keys: [organisation.sign], random }),
    )
  }
}

export interface FactLogParts {
  readonly tiles: TileLog
  readonly ledger: Ledger
  readonly access: LedgerAccess
  readonly organisation: Organisation
  readonly clock: Clock
  readonly random: Random
}
