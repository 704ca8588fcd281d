import { equal, toHex } from '@salus/core'
import type { Clock, Timer } from '@salus/host'

/** A version opened under a grant: in memory only, until its lease ends. */
export interface LeasedVersion {
  readonly g: Uint8Array
  readonly oid: Uint8Array
  readonly custodian: string
  /** For whom it was opened and logged; undefined where the organisation itself asked. */
  readonly practitioner: string | undefined
  readonly recordId: string
  readonly version: number
  /** FHIR JSON as released: the stored bytes, or a view. Overwritten with zeros when the lease ends. */
  readonly json: Uint8Array
  /** Absent for a view. Overwritten with zeros when the lease ends. */
  readonly dek: Uint8Array | undefined
  readonly leaseUntilMs: number
}

/**
 * What this organisation holds open of other custodians' records. Nothing of it is ever written to a disk; a restart,
 * a recall or the end of the lease drops it, and keys are overwritten before they are let go. Text that was parsed or
 * shown meanwhile is out of reach: what was opened cannot be called back.
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
    for (const version of versions) {
      const name = nameOf(version)
      const before = this.#held.get(name)
      // Whoever asked before may still be reading that text; its key nobody needs any more.
      if (before !== undefined && before !== version) before.dek?.fill(0)
      this.#held.set(name, version)
    }
    this.#dropExpired()
    this.#schedule()
  }

  /** What is held open under grants for a person, expired ones left out: somebody else's opening is not hers. */
  under(grants: readonly Uint8Array[], practitioner: string | undefined): LeasedVersion[] {
    this.#dropExpired()
    return [...this.#held.values()].filter(
      (version) => version.practitioner === practitioner && grants.some((g) => equal(version.g, g)),
    )
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
    this.#timer = undefined
    this.#dropWhere(() => true)
  }

  #dropExpired(): void {
    const nowMs = this.#clock.now()
    this.#dropWhere(({ leaseUntilMs }) => leaseUntilMs <= nowMs)
  }

  #dropWhere(drops: (version: LeasedVersion) => boolean): number {
    let dropped = 0
    for (const [name, version] of this.#held) {
      if (!drops(version)) continue
      wipe(version)
      this.#held.delete(name)
      dropped += 1
    }
    return dropped
  }

  #schedule(): void {
    let nextMs = Number.POSITIVE_INFINITY
    for (const { leaseUntilMs } of this.#held.values()) nextMs = Math.min(nextMs, leaseUntilMs)
    if (this.#held.size === 0 || (nextMs >= this.#nextMs && this.#timer !== undefined)) return
    this.#timer?.cancel()
    this.#nextMs = nextMs
    this.#timer = this.#clock.schedule(Math.max(0, nextMs - this.#clock.now()), () => {
      this.#timer = undefined
      this.#nextMs = Number.POSITIVE_INFINITY
      this.#dropExpired()
      this.#schedule()
    })
  }
}

/** Overwrites what a version holds. */
export function wipe(version: Pick<LeasedVersion, 'dek' | 'json'>): void {
  version.dek?.fill(0)
  version.json.fill(0)
}

function nameOf({ g, oid, practitioner }: LeasedVersion): string {
  return `${toHex(g)}/${toHex(oid)}/${practitioner ?? ''}`
}
