/** A task waiting for its time. Cancelling twice, or after it ran, is not an error. */
export interface Timer {
  cancel(): void
}

/** Time as the machine tells it. The only source of time outside `src/system`. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC, whole. May jump when the machine's clock is set. */
  now(): number
  /** Runs `task` once, `delayMs` (≥ 0) from now. A task that throws is a bug of its owner. */
  schedule(delayMs: number, task: () => void): Timer
}

/** A clock whose owner moves it. */
export interface AdjustableClock extends Clock {
  /**
   * Moves time forward by `ms` (≥ 0), running due tasks in order of their time, then of their scheduling.
   * A task sees `now()` equal to its own due time, and tasks it schedules run too when they fall due.
   */
  advance(ms: number): void
}

interface Waiting {
  readonly dueMs: number
  readonly order: number
  readonly task: () => void
}

function earliest(waiting: ReadonlySet<Waiting>, untilMs: number): Waiting | undefined {
  let first: Waiting | undefined
  for (const one of waiting) {
    if (one.dueMs > untilMs) continue
    if (!first || one.dueMs < first.dueMs || (one.dueMs === first.dueMs && one.order < first.order))
      first = one
  }
  return first
}

/** A clock that stands still until it is advanced: the twin for tests and simulation. */
export function manualClock(startMs = 0): AdjustableClock {
  const waiting = new Set<Waiting>()
  let nowMs = startMs
  let order = 0
  return {
    now: () => nowMs,
    schedule(delayMs, task) {
      const one = { dueMs: nowMs + Math.max(0, delayMs), order: order++, task }
      waiting.add(one)
      return { cancel: () => void waiting.delete(one) }
    },
    advance(ms) {
      const untilMs = nowMs + Math.max(0, ms)
      for (let due = earliest(waiting, untilMs); due; due = earliest(waiting, untilMs)) {
        waiting.delete(due)
        nowMs = Math.max(nowMs, due.dueMs)
        due.task()
      }
      nowMs = untilMs
    },
  }
}

/**
 * A running clock that can be moved ahead: `base` plus an offset. Demonstrations use it to let days pass
 * on a live network; time between two advances goes on as `base` tells it.
 */
export function shiftedClock(base: Clock): AdjustableClock {
  const waiting = new Map<Waiting, Timer>()
  let offsetMs = 0
  let order = 0
  const now = () => base.now() + offsetMs
  const run = (one: Waiting) => {
    waiting.get(one)?.cancel()
    waiting.delete(one)
    one.task()
  }
  const arm = (one: Waiting) => {
    waiting.get(one)?.cancel()
    waiting.set(
      one,
      base.schedule(Math.max(0, one.dueMs - now()), () => run(one)),
    )
  }
  return {
    now,
    schedule(delayMs, task) {
      const one = { dueMs: now() + Math.max(0, delayMs), order: order++, task }
      arm(one)
      return {
        cancel: () => {
          waiting.get(one)?.cancel()
          waiting.delete(one)
        },
      }
    },
    advance(ms) {
      const untilMs = now() + Math.max(0, ms)
      const pending = () => earliest(new Set(waiting.keys()), untilMs)
      for (let due = pending(); due; due = pending()) {
        offsetMs = Math.max(offsetMs, due.dueMs - base.now())
        run(due)
      }
      offsetMs = Math.max(offsetMs, untilMs - base.now())
      for (const one of [...waiting.keys()]) arm(one)
    },
  }
}
