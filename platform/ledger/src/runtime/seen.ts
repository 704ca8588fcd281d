import { MINUTE_MS } from '../tx/limits.ts'
import { nameOf } from './keys.ts'

/**
 * The ids of recorded bodies and bundles that could come again, by the minute of their `until` (protocol §11,
 * Replay). Kept beside the state tree: two tree writes per body would cost more than everything else.
 */
export interface Seen {
  has(id: Uint8Array, untilMs: number): boolean
  add(id: Uint8Array, untilMs: number): void
  /** Forgets the minutes that ended before `timeMs`: what was valid until then is expired. */
  dropBefore(timeMs: number): void
  readonly size: number
}

export function openSeen(): Seen {
  const minutes = new Map<number, Set<string>>()
  return {
    has: (id, untilMs) => minutes.get(minuteOf(untilMs))?.has(nameOf(id)) ?? false,
    add(id, untilMs) {
      const minute = minuteOf(untilMs)
      const ids = minutes.get(minute) ?? new Set<string>()
      minutes.set(minute, ids)
      ids.add(nameOf(id))
    },
    dropBefore(timeMs) {
      const first = minuteOf(timeMs)
      for (const minute of minutes.keys()) if (minute < first) minutes.delete(minute)
    },
    get size() {
      let count = 0
      for (const ids of minutes.values()) count += ids.size
      return count
    },
  }
}

function minuteOf(timeMs: number): number {
  return (timeMs - (timeMs % MINUTE_MS)) / MINUTE_MS
}
