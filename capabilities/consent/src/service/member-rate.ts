import { AppError } from '@salus/core'
import type { Clock } from '@salus/host'

const HOUR_MS = 3_600_000

/** How often one member may ask in an hour for what leaves an event whatever the answer. Kept in memory. */
export class MemberRate {
  readonly #clock: Clock
  readonly #perHour: number
  readonly #used = new Map<string, number[]>()

  constructor({ clock, perHour }: { readonly clock: Clock; readonly perHour: number }) {
    this.#clock = clock
    this.#perHour = perHour
  }

  /** Counts one. Throws AppError `TOO_MANY`. */
  take(org: string): void {
    const nowMs = this.#clock.now()
    const used = (this.#used.get(org) ?? []).filter((atMs) => atMs > nowMs - HOUR_MS)
    if (used.length >= this.#perHour)
      throw new AppError('TOO_MANY', `rate: at most ${this.#perHour} such requests an hour; try again later`)
    this.#used.set(org, [...used, nowMs])
  }
}
