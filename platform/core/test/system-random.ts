import { randomBytes } from 'node:crypto'
import type { Random } from '@salus/core'

/** The operating system's randomness, declared as such. */
export const system: Random = Object.assign(
  (lengthBytes: number) => new Uint8Array(randomBytes(lengthBytes)),
  {
    operatingSystem: true as const,
  },
)
