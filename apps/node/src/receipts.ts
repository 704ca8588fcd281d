import { AppError, type CborValue, decode, encode } from '@salus/core'
import { type Engine, statePart, txPart } from '@salus/engine'
import type { Clock } from '@salus/host'
import { governance, type Ledger, log, organisations } from '@salus/ledger'
import type { Receipt, ReceiptBlock } from '@salus/log'
import type { FactLog } from './fact-log.ts'

/** How far behind the head the newest cosigned block is looked for. */
const MAX_BEHIND = 500
const POLL_MS = 20

export interface ReceiptsParts {
  readonly ledger: Ledger
  readonly genesis: Uint8Array
  readonly factLog: FactLog
  readonly engine: Engine
  readonly clock: Clock
}

/** A fact of this organisation's log, as the entitled person will hold it. */
export interface Fact {
  readonly kind: number
  readonly fields: readonly CborValue[]
  readonly salt: Uint8Array | undefined
  readonly leafIndex: number
}

/** Makes receipts (protocol §12) from this node's own logs and state, and the others' cosignatures. */
export class Receipts {
  readonly #parts: ReceiptsParts
  readonly #changed: { readonly height: number; readonly orgs: readonly string[] }[] = []
  #scannedTo = 0

  constructor(parts: ReceiptsParts) {
    this.#parts = parts
  }

  /**
   * The receipt of a fact; one that no cosigned block anchors yet says only that it is logged. With `waitMs` it waits so
   * long for the block that anchors the fact to be cosigned.
   */
  async ofFact({ kind, fields, salt, leafIndex }: Fact, waitMs = 0): Promise<Receipt> {
    const { factLog, ledger } = this.#parts
    await this.#waitProven(leafIndex, waitMs)
    const fact = { kind, fields: encode(fields), ...(salt === undefined ? {} : { salt }) }
    const base = { v: 1, chain: ledger.chainId, kind: 'fact' as const, fact }
    const proven = await this.#newestProven()
    const size = proven === undefined ? 0 : this.#anchoredSize(proven.height)
    if (proven === undefined || size <= leafIndex)
      return {
        ...base,
        log: await factLog.tiles.proof(leafIndex),
        keys: await this.#keys(proven?.height ?? 0),
      }
    const { siblings, ...row } = statePart(ledger.prove(log, 'logs', [factLog.logId], proven.height))
    return {
      ...base,
      log: await factLog.tiles.proof(leafIndex, size),
      block: proven.block,
      state: { ...row, siblings: [...siblings] },
      keys: await this.#keys(proven.height),
    }
  }

  /** The receipt of a body that is final in a block. Throws AppError `NOT_FINAL` until enough have cosigned it. */
  async ofTx(height: number, index: number): Promise<Receipt> {
    const { ledger, engine } = this.#parts
    const committed = engine.blockAt(height)
    const block = await engine.blockProof(height)
    if (committed === undefined || block === undefined)
      throw new AppError('NOT_FINAL', 'tx: is not under a cosigned checkpoint yet; ask again in a moment')
    const tx = txPart(committed, index)
    return { v: 1, chain: ledger.chainId, kind: 'tx', tx, block, keys: await this.#keys(height) }
  }

  async #newestProven(): Promise<{ readonly height: number; readonly block: ReceiptBlock } | undefined> {
    const { engine } = this.#parts
    const { height: head } = engine.head()
    for (let height = head; height > Math.max(0, head - MAX_BEHIND); height -= 1) {
      const block = await engine.blockProof(height)
      if (block !== undefined) return { height, block }
    }
    return undefined
  }

  async #waitProven(leafIndex: number, waitMs: number): Promise<void> {
    const { clock, engine, factLog } = this.#parts
    const untilMs = clock.now() + waitMs
    while (clock.now() < untilMs) {
      const anchor = factLog.anchor()
      const covers = anchor !== undefined && anchor.size > leafIndex
      if (!covers || (await engine.blockProof(anchor.height)) !== undefined) return
      await new Promise<void>((resolve) => void clock.schedule(POLL_MS, resolve))
    }
  }

  #anchoredSize(height: number): number {
    const { ledger, factLog } = this.#parts
    const { value } = ledger.prove(log, 'logs', [factLog.logId], height)
    // The ledger's own row: its schema was checked when it was written.
    return value === undefined ? 0 : (decode(value) as unknown as { readonly size: number }).size
  }

  /** Genesis, and every block up to `height` that changed who belongs to the network or signs for it. */
  async #keys(height: number): Promise<Receipt['keys']> {
    const { engine, ledger, genesis } = this.#parts
    const keys: Receipt['keys'] = [{ genesis }]
    for (const change of this.#changes(height)) {
      const block = await engine.blockProof(change.height)
      if (block === undefined) continue
      const rows = change.orgs.flatMap((org) => [
        statePart(ledger.prove(governance, 'members', [org], change.height)),
        statePart(ledger.prove(organisations, 'keys', [org], change.height)),
      ])
      keys.push({ change: { block, rows: rows.map((row) => ({ ...row, siblings: [...row.siblings] })) } })
    }
    return keys
  }

  #changes(height: number) {
    for (; this.#scannedTo < height; this.#scannedTo += 1) {
      const at = this.#scannedTo + 1
      const orgs = new Set<string>()
      for (const { contract, event, data } of this.#parts.engine.blockAt(at)?.outcome.events ?? []) {
        const org = (data as { readonly org?: CborValue } | null)?.org
        if (CHANGES.has(`${contract}/${event}`) && typeof org === 'string') orgs.add(org)
      }
      if (orgs.size > 0) this.#changed.push({ height: at, orgs: [...orgs].sort() })
    }
    return this.#changed.filter((change) => change.height <= height)
  }
}

/** Events after which verifiers must look at membership and keys again. */
const CHANGES = new Set(['governance/memberChanged', 'organisations/keysSet'])
