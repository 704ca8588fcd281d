import { AppError, toHex } from '@salus/core'
import type { SignedBundle } from '@salus/ledger'

/** A bundle that waits for a block. */
export interface WaitingBundle {
  readonly wire: Uint8Array
  readonly bundle: SignedBundle
  readonly sponsorKey: Uint8Array
  /** Answer of `verifyBundle`. */
  readonly answer: Uint8Array
}

/** Bounds of a queue and of a block (protocol §11). */
export const QUEUE_MAX_BUNDLES = 512
export const QUEUE_MAX_BYTES = 64 << 20
export const BLOCK_MAX_BODIES = 2_000
export const BLOCK_MAX_BYTES = 2 << 20

export interface BundleQueue {
  readonly bundles: number
  readonly bodies: number
  readonly sizeBytes: number
  /** Keeps room for a bundle that is being verified. Throws AppError `ENGINE_FULL`. */
  reserve(sizeBytes: number): () => void
  add(bundle: WaitingBundle): void
  /** Whether a block would be full. */
  full(): boolean
  /** Next block's bundles; sponsors take turns. What `keep` refuses is dropped. */
  take(keep: (waiting: WaitingBundle) => boolean): WaitingBundle[]
}

/** Bundles in order of arrival per sponsor. */
export function bundleQueue(): BundleQueue {
  const lanes = new Map<string, WaitingBundle[]>()
  let bundles = 0
  let bodies = 0
  let sizeBytes = 0
  let reserved = 0
  let reservedBytes = 0

  const count = ({ wire, bundle }: WaitingBundle, sign: 1 | -1) => {
    bundles += sign
    bodies += sign * bundle.items.length
    sizeBytes += sign * wire.length
  }

  return {
    get bundles() {
      return bundles + reserved
    },
    get bodies() {
      return bodies
    },
    get sizeBytes() {
      return sizeBytes + reservedBytes
    },
    reserve(size) {
      if (bundles + reserved >= QUEUE_MAX_BUNDLES || sizeBytes + reservedBytes + size > QUEUE_MAX_BYTES)
        throw full()
      reserved++
      reservedBytes += size
      let given = false
      return () => {
        if (given) return
        given = true
        reserved--
        reservedBytes -= size
      }
    },
    add(bundle) {
      const lane = lanes.get(bundle.bundle.sponsor)
      if (lane) lane.push(bundle)
      else lanes.set(bundle.bundle.sponsor, [bundle])
      count(bundle, 1)
    },
    full: () => bodies >= BLOCK_MAX_BODIES || sizeBytes >= BLOCK_MAX_BYTES,
    take(keep) {
      const taken: WaitingBundle[] = []
      let takenBodies = 0
      let takenBytes = 0
      let open = true
      while (open && lanes.size > 0) {
        for (const [sponsor, lane] of lanes) {
          const next = lane[0] as WaitingBundle
          const { length } = next.bundle.items
          if (takenBodies + length > BLOCK_MAX_BODIES || takenBytes + next.wire.length > BLOCK_MAX_BYTES) {
            open = false
            break
          }
          lane.shift()
          if (lane.length === 0) lanes.delete(sponsor)
          count(next, -1)
          if (!keep(next)) continue
          taken.push(next)
          takenBodies += length
          takenBytes += next.wire.length
        }
      }
      // The sponsor that came first now comes last, or one big sponsor would always fill the block first.
      const [first] = lanes
      if (first) {
        lanes.delete(first[0])
        lanes.set(...first)
      }
      return taken
    },
  }
}

export function bundleName(bundle: SignedBundle): string {
  return toHex(bundle.bundleId)
}

function full(): AppError {
  return new AppError('ENGINE_FULL', 'too many bundles wait for a block; give it again a little later', {
    retryAfterMs: 500,
  })
}
