import { type Random, sha256, utf8 } from '@salus/core'

export type { Random }

/**
 * Randomness that repeats: SHA-256 over the seed and a counter. For tests and simulation only;
 * a node takes `systemRandom` from `@salus/host/system`.
 */
export function seededRandom(seed: number | string): Random {
  const key = sha256(utf8(`salus/seeded-random/${typeof seed}/${seed}`))
  let counter = 0
  let pool = new Uint8Array(0)
  return (lengthBytes) => {
    const out = new Uint8Array(lengthBytes)
    let filled = 0
    while (filled < lengthBytes) {
      if (pool.length === 0) {
        const input = new Uint8Array(40)
        input.set(key)
        new DataView(input.buffer).setBigUint64(32, BigInt(counter++))
        pool = new Uint8Array(sha256(input))
      }
      const take = pool.subarray(0, lengthBytes - filled)
      out.set(take, filled)
      pool = pool.subarray(take.length)
      filled += take.length
    }
    return out
  }
}
