import { AppError, type CborValue, toHex } from '@salus/core'
import type { CommittedBlock } from './engine.ts'

/** Where a body is. */
export type TxStatus =
  | { readonly state: 'queued' | 'bundled' | 'unknown' }
  | {
      readonly state: 'final'
      readonly height: number
      /** Its place among the results of that block. */
      readonly index: number
      /** 0 when it took effect (`CODES`; from 100 the contract's rejections). */
      readonly code: number
      readonly result: CborValue
    }
  /** Its `until` has passed and no block has it; it can no longer run. */
  | { readonly state: 'lapsed' }

export type FinalStatus = Extract<TxStatus, { state: 'final' }>

/** Follows one body: iterates over its states as they come, or waits for the last one. */
export interface Following extends AsyncIterable<TxStatus> {
  status(): TxStatus
  /** @throws {AppError} TX_LAPSED when no block took it in time: sign a new body */
  wait(): Promise<FinalStatus>
}

/** What is known of bodies, by id. Final ones are kept for a while, whoever sponsored them. */
export interface Tracker {
  status(txId: Uint8Array): TxStatus
  follow(txId: Uint8Array): Following
  queued(txId: Uint8Array, untilMs: number): void
  bundled(txId: Uint8Array): void
  committed(block: CommittedBlock): void
}

interface Tracked {
  status: TxStatus
  readonly untilMs: number | undefined
  readonly waiting: Set<() => void>
}

const UNKNOWN: TxStatus = { state: 'unknown' }

/** @param finalsMax final bodies remembered, about 300 B each */
export function tracker(finalsMax = 50_000): Tracker {
  const open = new Map<string, Tracked>()
  const finals = new Map<string, TxStatus>()

  function settle(name: string, status: TxStatus): void {
    finals.set(name, status)
    if (finals.size > finalsMax) {
      for (const oldest of finals.keys()) {
        finals.delete(oldest)
        break
      }
    }
    const tracked = open.get(name)
    if (!tracked) return
    open.delete(name)
    change(tracked, status)
  }

  function change(tracked: Tracked, status: TxStatus): void {
    tracked.status = status
    const woken = [...tracked.waiting]
    tracked.waiting.clear()
    for (const wake of woken) wake()
  }

  function statusOf(name: string): TxStatus {
    return finals.get(name) ?? open.get(name)?.status ?? UNKNOWN
  }

  function follow(txId: Uint8Array): Following {
    const name = toHex(txId)
    // A body given to another sponsor may still come: it is waited for as well.
    const changed = (seen: TxStatus) =>
      new Promise<void>((resolve) => {
        if (statusOf(name) !== seen) return resolve()
        let tracked = open.get(name)
        if (!tracked) {
          tracked = { status: UNKNOWN, untilMs: undefined, waiting: new Set() }
          open.set(name, tracked)
        }
        tracked.waiting.add(resolve)
      })

    async function* states(): AsyncGenerator<TxStatus> {
      for (;;) {
        const status = statusOf(name)
        yield status
        if (status.state === 'final' || status.state === 'lapsed') return
        await changed(status)
      }
    }

    return {
      status: () => statusOf(name),
      [Symbol.asyncIterator]: states,
      async wait() {
        for await (const status of states()) {
          if (status.state === 'final') return status
          if (status.state === 'lapsed')
            throw new AppError('TX_LAPSED', 'tx: no block took it before its until; sign a new body', {
              txId: name,
            })
        }
        throw new AppError('TX_LAPSED', 'tx: it is no longer followed', { txId: name })
      },
    }
  }

  return {
    status: (txId) => statusOf(toHex(txId)),
    follow,
    queued(txId, untilMs) {
      const name = toHex(txId)
      const waiting = open.get(name)?.waiting ?? new Set<() => void>()
      const tracked: Tracked = { status: UNKNOWN, untilMs, waiting }
      open.set(name, tracked)
      change(tracked, { state: 'queued' })
    },
    bundled(txId) {
      const tracked = open.get(toHex(txId))
      if (tracked?.status.state === 'queued') change(tracked, { state: 'bundled' })
    },
    committed({ height, timeMs, outcome }) {
      outcome.results.forEach(({ txId, code, result, untilMs }, index) => {
        // What is not recorded stands under H(item): its body may still run.
        if (untilMs !== undefined) settle(toHex(txId), { state: 'final', height, index, code, result })
      })
      for (const [name, { untilMs }] of open)
        if (untilMs !== undefined && untilMs < timeMs) settle(name, { state: 'lapsed' })
    },
  }
}
