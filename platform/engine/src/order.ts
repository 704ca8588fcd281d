import { assert } from '@salus/core'
import type { Random } from '@salus/host'

/** The items in a random order (Fisher–Yates), so that arrival says nothing about who asked. At most 65,536. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last--) {
    const other = below(last + 1, random)
    const swapped = order[last] as T
    order[last] = order[other] as T
    order[other] = swapped
  }
  return order
}

/** A number from 0 up to, not including, `limit`; every one equally likely. */
function below(limit: number, random: Random): number {
  assert(limit > 0 && limit <= 65_536, 'limit is 1 to 65,536')
  // Draws above the last whole multiple are thrown away, or small numbers would come more often.
  const end = 65_536 - (65_536 % limit)
  for (;;) {
    const [high, low] = random(2)
    const drawn = ((high as number) << 8) | (low as number)
    if (drawn < end) return drawn % limit
  }
}
