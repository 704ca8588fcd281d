import { AppError } from '@salus/core'
import type { Clock } from '@salus/host'

const REQUESTS_PER_SECOND = 500
const BURST = 2_000
const MAX_CALLERS = 10_000

/**
 * A token bucket per caller address. It keeps one caller from taking the node down; what a member or a grant may
 * ask for is limited where that is known.
 */
export class RequestLimits {
  readonly #clock: Clock
  readonly #buckets = new Map<string, { left: number; atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one request. Throws AppError `TOO_MANY` when the caller is over its rate. */
  take(address: string): void {
    const nowMs = this.#clock.now()
    const bucket = this.#buckets.get(address) ?? { left: BURST, atMs: nowMs }
    const elapsedMs = Math.max(0, nowMs - bucket.atMs)
    const left = Math.min(BURST, bucket.left + (elapsedMs * REQUESTS_PER_SECOND) / 1_000)
    if (left < 1)
      throw new AppError('TOO_MANY', 'rate: too many requests from this address; try again in a second')
    this.#buckets.delete(address)
    this.#buckets.set(address, { left: left - 1, atMs: nowMs })
    // The oldest caller goes first: an attacker with many addresses cannot grow the table.
    if (this.#buckets.size > MAX_CALLERS) this.#buckets.delete(this.#buckets.keys().next().value ?? '')
  }
}
