/**
 * Runs `task` while the machine's clock and randomness throw: what the ledger does must be a function of genesis
 * and blocks alone.
 */
export function withoutAmbient<T>(task: () => T): T {
  // Reached through the global object: the names themselves are banned here too.
  const { Date: clock, Math: maths } = globalThis
  const { now } = clock
  const { random } = maths
  const forbidden = (what: string) => () => {
    throw new Error(`${what} was called in the determinism zone`)
  }
  clock.now = forbidden('Date.now')
  maths.random = forbidden('Math.random')
  try {
    return task()
  } finally {
    clock.now = now
    maths.random = random
  }
}
