import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Random, seededRandom } from './random.ts'
import { systemRandom } from './system/index.ts'

const kinds: [name: string, random: Random][] = [
  ['seeded', seededRandom('suite')],
  ['system', systemRandom],
]

describe.each(kinds)('%s randomness', (_, random) => {
  test('property: gives as many bytes as asked, never the same 16 twice', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.nat(100), (lengthBytes) => {
        expect(random(lengthBytes).length).toBe(lengthBytes)
        const sixteen = random(16).join()
        expect(seen.has(sixteen)).toBe(false)
        seen.add(sixteen)
      }),
    )
  })
})

test('one seed gives one stream, however it is cut', () => {
  const whole = seededRandom(7)(100)
  const cut = seededRandom(7)
  expect([...cut(1), ...cut(40), ...cut(59)]).toEqual([...whole])
  expect(seededRandom(8)(100)).not.toEqual(whole)
  expect(seededRandom('7')(100)).not.toEqual(whole)
})
