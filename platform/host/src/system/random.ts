import { randomFillSync } from 'node:crypto'
import type { Random } from '../random.ts'

const draw = (lengthBytes: number) => randomFillSync(new Uint8Array(lengthBytes))

/** Randomness from the operating system. */
export const systemRandom: Random = Object.assign(draw, { operatingSystem: true as const })
