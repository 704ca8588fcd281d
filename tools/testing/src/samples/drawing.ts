import { seededRandom } from '@salus/host'

/** Choices drawn from a seed: the same seed and the same order of calls give the same samples. */
export interface Drawing {
  /** A random-looking UUID (version 4 form). */
  uuid(): string
  /** Whole number, both ends included. */
  int(low: number, high: number): number
  /** A decimal with exactly so many digits behind the point; printed so by `JSON.stringify`. */
  decimal(low: number, high: number, digits: number): Decimal
  pick<T>(from: readonly T[]): T
}

/** A number that keeps its digits (`5.40`) when it becomes JSON text. */
export type Decimal = object

const rawJson = (JSON as unknown as { rawJSON(text: string): object }).rawJSON

export function drawing(seed: string): Drawing {
  const random = seededRandom(seed)
  const fraction = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = random(4)
    return (a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / 2 ** 32
  }
  return {
    uuid() {
      const bytes = random(16)
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
      const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    },
    int: (low, high) => low + Math.floor(fraction() * (high - low + 1)),
    decimal: (low, high, digits) => rawJson((low + fraction() * (high - low)).toFixed(digits)),
    pick(from) {
      const item = from[Math.floor(fraction() * from.length)]
      if (item === undefined) throw new Error('Nothing to pick from')
      return item
    },
  }
}
