/**
 * Runs `task` while the machine's clock and randomness throw: what the ledger does must be a function of genesis
 * and blocks alone.
 */
export function withoutAmbient<T>(task: () => T): T {
  const { now } = Date
  const { random } = Math
  const forbidden = (what: string) => () => {
    throw new Error(`${what} was called in the determinism zone`)
  }
  Date.now = forbidden('Date.now')
  Math.random = forbidden('Math.random')
  try {
    return task()
  } finally {
    Date.now = now
    Math.random = random
  }
}
