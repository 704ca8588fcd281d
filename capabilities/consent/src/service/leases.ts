import { equal, toHex } from '@salus/core'
import type { Clock, Timer } from '@salus/host'

/** A version opened under a grant: in memory only, until its lease ends. */
export interface LeasedVersion {
  readonly g: Uint8Array
  readonly oid: Uint8Array
  readonly custodian: string
  readonly recordId: string
  readonly version: number
  /** FHIR JSON as released: the stored bytes, or a view. */
  readonly json: Uint8Array
  /** Absent for a view. */
  readonly dek: Uint8Array | undefined
  readonly leaseUntilMs: number
}

/**
 * What this organisation holds open of other custodians' records. Nothing of it is ever written to a disk; a restart,
 * a recall or the end of the lease drops it, and keys are overwritten before they are let go.
 */
export class Leases {
  readonly #clock: Clock
  readonly #held = new Map<string, LeasedVersion>()
  #timer: Timer | undefined
  #nextMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  hold(versions: readonly LeasedVersion[]): void {
    for (const version of versions) this.#held.set(keyOf(version), version)
    this.#schedule()
  }

  /** What is held open under grants, expired ones left out. */
  under(grants: readonly Uint8Array[]): LeasedVersion[] {
    this.#dropExpired()
    return [...this.#held.values()].filter(({ g }) => grants.some((wanted) => equal(g, wanted)))
  }

  /** Drops everything held under a grant. Returns how many versions that were. */
  recall(g: Uint8Array): number {
    return this.#dropWhere((version) => equal(version.g, g))
  }

  count(): number {
    this.#dropExpired()
    return this.#held.size
  }

  close(): void {
    this.#timer?.cancel()
    this.#dropWhere(() => true)
  }

  #dropExpired(): void {
    const nowMs = this.#clock.now()
    this.#dropWhere(({ leaseUntilMs }) => leaseUntilMs <= nowMs)
  }

  #dropWhere(drops: (version: LeasedVersion) => boolean): number {
    let dropped = 0
    for (const [key, version] of this.#held) {
      if (!drops(version)) continue
      version.dek?.fill(0)
      version.json.fill(0)
      this.#held.delete(key)
      dropped += 1
    }
    return dropped
  }

  #schedule(): void {
    const nextMs = Math.min(...[...this.#held.values()].map(({ leaseUntilMs }) => leaseUntilMs))
    if (nextMs >= this.#nextMs && this.#timer !== undefined) return
    this.#timer?.cancel()
    this.#nextMs = nextMs
    this.#timer = this.#clock.schedule(Math.max(0, nextMs - this.#clock.now()), () => {
      this.#timer = undefined
      this.#nextMs = Number.POSITIVE_INFINITY
      this.#dropExpired()
      if (this.#held.size > 0) this.#schedule()
    })
  }
}

function keyOf({ g, oid }: LeasedVersion): string {
  return `${toHex(g)}/${toHex(oid)}`
}
