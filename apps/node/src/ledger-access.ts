import type { LogState } from '@salus/consent'
import type { ConsentLedger, OrganisationKeysView } from '@salus/consent/service'
import { AppError, type CborValue, equal } from '@salus/core'
import type { Engine, Sponsor, TxStatus } from '@salus/engine'
import type { Clock, Timer } from '@salus/host'
import {
  governance,
  type Item,
  type Ledger,
  log,
  logIdOf,
  organisations,
  type ParamName,
  runtimeCodeName,
} from '@salus/ledger'
import { factLogOrigin } from '@salus/log'

/** How long a node waits for its own bodies to become final. */
const FINAL_MS = 15_000

/** The ledger as this node executed it, and the way to put something on it. */
export class LedgerAccess implements ConsentLedger {
  readonly chainId: Uint8Array
  readonly #ledger: Ledger
  readonly #engine: Engine
  readonly #sponsor: Sponsor
  readonly #clock: Clock

  constructor(parts: { ledger: Ledger; engine: Engine; sponsor: Sponsor; clock: Clock }) {
    const { ledger, engine, sponsor } = parts
    this.chainId = ledger.chainId
    this.#ledger = ledger
    this.#engine = engine
    this.#sponsor = sponsor
    this.#clock = parts.clock
  }

  head(): { readonly height: number; readonly timeMs: number } {
    return this.#engine.head()
  }

  query(contract: string, name: string, input: Readonly<Record<string, unknown>>): unknown {
    return this.#ledger.queryByName(contract, name, input)
  }

  param(name: string): number {
    return this.#ledger.query(governance, 'params', {})[name as ParamName]
  }

  organisation(org: string): OrganisationKeysView | undefined {
    const member = this.#ledger.query(governance, 'member', { org })
    const keys = this.#ledger.query(organisations, 'keys', { org })
    if (member === undefined || keys === undefined) return undefined
    const { sign, seal, log: logKey } = keys.keys
    return {
      org,
      name: member.name,
      url: member.url,
      sign,
      seal,
      log: logKey,
      active: member.state === 'active',
    }
  }

  logState(org: string): LogState {
    const found = this.#ledger.query(log, 'get', { logId: logIdOf(org, factLogOrigin(this.chainId, org)) })
    return found?.state ?? 'open'
  }

  /** The organisation whose sign key this is. */
  isSignKeyOf(org: string, publicKey: Uint8Array): boolean {
    const found = this.organisation(org)
    return found !== undefined && equal(found.sign, publicKey)
  }

  /** Sponsors a body and waits until it is final. Throws AppError `TX_REJECTED`, `TX_NOT_FINAL` after `waitMs`. */
  async execute(
    item: Item,
    waitMs = FINAL_MS,
  ): Promise<{ readonly height: number; readonly index: number; readonly result: CborValue }> {
    const { txId } = await this.#sponsor.submit(item)
    const status = await this.final(txId, waitMs)
    if (status.state !== 'final')
      throw new AppError('TX_NOT_FINAL', 'tx: not final yet; the ledger may stand still, try again later')
    if (status.code !== 0)
      throw new AppError(
        'TX_REJECTED',
        `tx: the ledger rejected it (${runtimeCodeName(status.code) ?? status.code})`,
        {
          code: status.code,
        },
      )
    return { height: status.height, index: status.index, result: status.result }
  }

  /** Where a body is once it is final, or after `waitMs`. */
  async final(txId: Uint8Array, waitMs: number): Promise<TxStatus> {
    const following = this.#sponsor.follow(txId)
    let timer: Timer | undefined
    const late = new Promise<TxStatus>((resolve) => {
      timer = this.#clock.schedule(waitMs, () => resolve(following.status()))
    })
    try {
      return await Promise.race([following.wait(), late])
    } catch (error) {
      if (error instanceof AppError && error.code === 'TX_LAPSED') return following.status()
      throw error
    } finally {
      timer?.cancel()
    }
  }
}
