import type { Random } from '@salus/core'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { OwnerRow } from '../custody/rows.ts'
import type { Owner } from '../fhir/index.ts'
import { ridOf } from '../owner-keys.ts'
import type { Prepared } from './prepare.ts'

interface OwnerCacheParts {
  readonly custody: CustodyStore
  readonly ridKey: Uint8Array
  readonly random: Random
}

/** Names of the two owners that are no patient; no reference looks like them. */
const HOUSE = { directory: '~directory', organisation: '~organisation' } as const

/** The house's own owner of a kind, if anything was ever stored for it. */
export function houseOwner(
  custody: CustodyStore,
  ridKey: Uint8Array,
  kind: 'directory' | 'organisation',
): OwnerRow | undefined {
  return custody.ownerByRid(ridOf(ridKey, HOUSE[kind]))
}

/** Owners of one batch: those that are here, and those that the batch would make. */
export class OwnerCache {
  readonly #rows = new Map<string, OwnerRow>()
  readonly #made = new Set<OwnerRow>()
  readonly #parts: OwnerCacheParts

  constructor(parts: OwnerCacheParts) {
    this.#parts = parts
  }

  resolve(prepared: Pick<Prepared, 'owner' | 'targets'>): OwnerRow {
    return this.#ofTargets(prepared) ?? this.#named(prepared.owner)
  }

  /** Those among `used` that are new. An owner whose every record was refused is not made. */
  madeFor(used: readonly OwnerRow[]): OwnerRow[] {
    return [...new Set(used)].filter((row) => this.#made.has(row))
  }

  /**
   * A Provenance, List or Linkage that names no patient belongs to whose records it names: left in the directory it
   * would tell every member's staff about them.
   */
  #ofTargets({ owner, targets }: Pick<Prepared, 'owner' | 'targets'>): OwnerRow | undefined {
    if (owner.kind !== 'directory' || targets === undefined) return undefined
    const { custody, ridKey } = this.#parts
    const owners = new Map<string, OwnerRow>()
    for (const target of targets) {
      const row = custody.latestByRid(ridOf(ridKey, target))
      const held = row === undefined ? undefined : custody.owner(row.owner)
      if (held !== undefined && held.kind !== 'directory') owners.set(held.owner.join(), held)
    }
    const [first, second] = owners.values()
    if (first === undefined) return undefined
    return second === undefined ? first : this.#named({ kind: 'organisation', reason: 'several-patients' })
  }

  #named(owner: Owner): OwnerRow {
    const name = owner.kind === 'patient' ? owner.name : HOUSE[owner.kind]
    const known = this.#rows.get(name)
    if (known !== undefined) return known
    const rid = ridOf(this.#parts.ridKey, name)
    const row = this.#parts.custody.ownerByRid(rid) ?? this.#make(rid, owner.kind)
    this.#rows.set(name, row)
    return row
  }

  #make(rid: Uint8Array, kind: OwnerRow['kind']): OwnerRow {
    const row: OwnerRow = {
      owner: this.#parts.random(16),
      rid,
      kind,
      status: 'unclaimed',
      retainUntilMs: undefined,
      linkKey: undefined,
      sub: undefined,
      card: undefined,
    }
    this.#made.add(row)
    return row
  }
}
