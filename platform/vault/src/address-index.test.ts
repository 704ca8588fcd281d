import { sha256, toHex } from '@salus/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AddressIndex, OWN_FILE } from './address-index.ts'

/** Addresses that crowd into few slots, so that runs, wrap-around and holes occur. */
const crowded = fc.tuple(fc.constantFrom(0, 1, 2, 1_022, 1_023), fc.nat(30)).map(([slot, rest]) => {
  const address = sha256(new Uint8Array([rest]))
  address.set([0, 0, slot >> 8, slot & 255])
  return address
})

test('property: behaves as a map does', () => {
  const step = fc.record({ address: crowded, remove: fc.boolean(), offset: fc.nat(1_000_000) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const index = new AddressIndex()
      const model = new Map<string, number>()
      for (const { address, remove, offset } of steps) {
        if (remove) expect(index.delete(address)).toBe(model.delete(toHex(address)))
        else {
          index.set(address, { pack: 1, offset, lengthBytes: 5 })
          model.set(toHex(address), offset)
        }
      }
      const held = [...index.entries()].map(([address, place]) => [toHex(address), place.offset])
      expect(new Map(held as [string, number][])).toEqual(model)
      for (const { address } of steps) expect(index.get(address)?.offset).toBe(model.get(toHex(address)))
      expect(index.size).toBe(model.size)
    }),
    { numRuns: 60 },
  )
})

test('grows, keeps totals, and takes at most 120 bytes an object', () => {
  const index = new AddressIndex()
  for (let i = 0; i < 20_000; i++) {
    const pack = i % 100 === 0 ? OWN_FILE : i % 7
    index.set(sha256(new Uint8Array([i >> 8, i & 255])), { pack, offset: i, lengthBytes: 10 })
  }
  expect(index.totals()).toEqual({ liveBytes: 200_000, ownFiles: 200 })
  expect(index.get(sha256(new Uint8Array([1, 2])))).toEqual({ pack: 258 % 7, offset: 258, lengthBytes: 10 })
  expect(index.memoryBytes / index.size).toBeLessThan(120)
})
