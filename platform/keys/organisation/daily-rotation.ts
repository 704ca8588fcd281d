import type { Clock } from '@salus/host'
import type { Keystore, Rotation } from './keystore.ts'

const DAY_MS = 86_400_000

/**
 * Erasures batch daily (protocol §7): once a day, if keys were deleted, the keystore rotates. `onRotation` lets the
 * caller sign receipts; `onError` hears of a failure, and the next day it is tried again. Returns how to stop.
 */
export function rotateDaily(options: {
  readonly keystore: Keystore
  readonly clock: Clock
  readonly onRotation: (rotation: Rotation) => void
  readonly onError: (error: unknown) => void
}): { stop(): void } {
  const { keystore, clock, onRotation, onError } = options
  let timer = clock.schedule(DAY_MS, run)
  let stopped = false
  function run(): void {
    if (stopped) return
    timer = clock.schedule(DAY_MS, run)
    if (keystore.deletedSinceRotation > 0) keystore.rotate().then(onRotation, onError)
  }
  return {
    stop() {
      stopped = true
      timer.cancel()
    },
  }
}
