import { quotaOf } from '../contracts/governance/governance.ts'
import { governance } from '../contracts/governance/schema.ts'
import { organisations } from '../contracts/organisations/schema.ts'
import { keysAt } from '../contracts/organisations/signers.ts'
import type { StateStore } from '../state/store.ts'
import { type Overlay, storedRows } from './overlay.ts'
import { readTables, writeTables } from './tables.ts'

/** Units that a body with a bad signature costs its sponsor, besides its own. */
const BAD_SIGNATURE_UNITS = 9
const KIB = 1024

/** A sponsor as the state before the block has it. */
export interface Sponsor {
  readonly active: boolean
  /** Sign key in force at the block's height. */
  readonly signKey: Uint8Array
  readonly unitsPerSecond: number
  readonly burstUnits: number
  /** Used part of the bucket, thousandths of a unit, refilled up to block time. */
  usedMilliUnits: number
  charged: boolean
}

/** Standing, keys and buckets of sponsors during one block. */
export interface Sponsors {
  get(org: string): Sponsor | undefined
  /** Takes a bundle's cost: 1 unit per body and 1 per started KiB. False if the bucket does not hold it. */
  charge(sponsor: Sponsor, bodies: number, sizeBytes: number): boolean
  /** A bad body signature costs 10 units in all; the bucket may go into debt for it. */
  chargeBadSignature(sponsor: Sponsor): void
  /** Writes what changed into the block. */
  save(overlay: Overlay): void
}

/** The sign key of a member, as a block at `height` verifies its bundles; undefined for a stranger. */
export function sponsorKey(store: StateStore, org: string, height: number): Uint8Array | undefined {
  const rows = storedRows(store)
  const row = readTables(organisations, rows).keys.get([org])
  const member = readTables(governance, rows).members.has([org])
  return row === undefined || !member ? undefined : keysAt(row, height).sign
}

export function openSponsors(store: StateStore, height: number, timeMs: number): Sponsors {
  const tables = readTables(governance, storedRows(store))
  const found = new Map<string, Sponsor | undefined>()

  function load(org: string): Sponsor | undefined {
    const signKey = sponsorKey(store, org, height)
    if (signKey === undefined) return undefined
    const { unitsPerSecond, burstUnits } = quotaOf({ tables }, org)
    const usage = tables.usage.get([org])
    let usedMilliUnits = 0
    if (usage !== undefined) {
      // A unit per second is a thousandth per millisecond: whole numbers all the way.
      const refilled = (timeMs - usage.atMs) * unitsPerSecond
      usedMilliUnits = refilled >= usage.usedMilliUnits ? 0 : usage.usedMilliUnits - refilled
    }
    const active = tables.members.get([org])?.state === 'active'
    return { active, signKey, unitsPerSecond, burstUnits, usedMilliUnits, charged: false }
  }

  return {
    get(org) {
      if (!found.has(org)) found.set(org, load(org))
      return found.get(org)
    },
    charge(sponsor, bodies, sizeBytes) {
      const used = sponsor.usedMilliUnits + unitsOf(bodies, sizeBytes) * 1000
      if (used > sponsor.burstUnits * 1000) return false
      sponsor.usedMilliUnits = used
      sponsor.charged = true
      return true
    },
    chargeBadSignature(sponsor) {
      sponsor.usedMilliUnits += BAD_SIGNATURE_UNITS * 1000
    },
    save(overlay) {
      const { usage } = writeTables(governance, overlay)
      for (const [org, sponsor] of found) {
        if (sponsor?.charged) usage.put([org], { usedMilliUnits: sponsor.usedMilliUnits, atMs: timeMs })
      }
      overlay.keep()
    },
  }
}

/** What a bundle costs its sponsor's bucket, before bad signatures. */
export function unitsOf(bodies: number, sizeBytes: number): number {
  const started = sizeBytes % KIB === 0 ? 0 : 1
  return bodies + (sizeBytes - (sizeBytes % KIB)) / KIB + started
}
