import type { Clock } from '../clock.ts'

// setTimeout treats longer delays as 1 ms.
const DELAY_MAX_MS = 2 ** 31 - 1

/** The machine's clock. Waiting tasks do not keep the process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    schedule(delayMs, task) {
      let timer: NodeJS.Timeout
      const wait = (leftMs: number) => {
        const partMs = Math.min(leftMs, DELAY_MAX_MS)
        timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : task()), partMs)
        timer.unref()
      }
      wait(Math.max(0, delayMs))
      return { cancel: () => clearTimeout(timer) }
    },
  }
}
