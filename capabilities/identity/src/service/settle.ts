import type { Clock } from '@salus/host'

/**
 * Waits between looks at something that is final elsewhere and whose block may still be on its way to this node: mostly
 * it is a few milliseconds behind. 5 s in all.
 */
export const WAITS_MS: readonly number[] = [20, 40, 80, 160, 320, 640, 1_280, 2_560]

export const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.schedule(ms, resolve))

/** What `look` finds, now or when the blocks that are on their way have come; undefined if nothing came. */
export async function onceKnown<T>(clock: Clock, look: () => T | undefined): Promise<T | undefined> {
  for (const waitMs of WAITS_MS) {
    const found = look()
    if (found !== undefined) return found
    await pause(clock, waitMs)
  }
  return look()
}
