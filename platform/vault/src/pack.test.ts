import { concat, equal, sha256 } from '@salus/core'
import { seededRandom } from '@salus/host'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeErasure, encodeErasure } from './erasure.ts'
import { batchBytes, frameHeader, packHeader, readFrame } from './pack-format.ts'
import { decodePackIndex, encodePackIndex } from './pack-index.ts'
import { contentOf, scanPack } from './pack-scan.ts'

const random = seededRandom(31)
const object = (sizeBytes: number) => {
  const bytes = random(sizeBytes)
  return { address: sha256(bytes), bytes }
}
const objects = [object(40), object(300), object(7), object(120), object(64)]
const pack = concat(
  ...[packHeader(0), batchBytes(objects.slice(0, 3)), batchBytes(objects.slice(3)), frameHeader('batch', 0)],
)

test('a pack reads back as written, and its index says the same', () => {
  const scan = scanPack(pack, 0)
  expect(scan).toMatchObject({ unreadable: [], tornAt: undefined, deadBytes: 0 })
  expect(scan.objects.map((each) => Uint8Array.from(contentOf(pack, each)))).toEqual(
    objects.map((each) => each.bytes),
  )
  const index = { coveredBytes: pack.length, deadBytes: 0, objects: scan.objects }
  expect(decodePackIndex(encodePackIndex(index))).toEqual(index)
})

test('property: cut anywhere, whole batches stay and the rest is torn', () => {
  fc.assert(
    fc.property(fc.nat(pack.length), (size) => {
      const scan = scanPack(pack.subarray(0, size), 0)
      expect(scan.unreadable).toEqual([])
      for (const found of scan.objects)
        expect(equal(sha256(contentOf(pack, found)), found.address)).toBe(true)
      const firstBatchEnd = 48 + 48 + 3 * 48 + 347
      if (size >= firstBatchEnd) expect(scan.objects.length).toBeGreaterThanOrEqual(3)
      expect(scan.tornAt === undefined || scan.tornAt < size).toBe(true)
    }),
  )
})

test('property: one altered byte costs at most one object of a proven pack, and is noticed', () => {
  fc.assert(
    fc.property(fc.nat(pack.length - 48 - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const bytes = Uint8Array.from(pack)
      bytes[at] = (bytes[at] ?? 0) ^ mask
      const scan = scanPack(bytes, 0)
      const good = scan.objects.filter((each) => equal(sha256(contentOf(bytes, each)), each.address))
      expect(scan.tornAt).toBeUndefined()
      expect(good.length).toBeGreaterThanOrEqual(4)
      expect(scan.unreadable.length > 0 || good.length === 4).toBe(true)
    }),
    { numRuns: 400 },
  )
})

test('an object whose content looks like frames does not become frames', () => {
  const inner = concat(...[frameHeader('object', 3, sha256(random(3))), random(3), frameHeader('erased', 9)])
  const bytes = Uint8Array.from(inner)
  const outer = { address: sha256(bytes), bytes }
  const whole = concat(...[packHeader(0), batchBytes([outer, objects[0] ?? outer]), frameHeader('batch', 0)])
  expect(scanPack(whole, 0).objects).toHaveLength(2)
  whole[48 + 48 + 20] = (whole[48 + 48 + 20] ?? 0) ^ 1
  const scan = scanPack(whole, 0)
  expect(scan.objects.map((each) => each.address)).toEqual([objects[0]?.address])
  expect(scan.unreadable).toHaveLength(1)
})

test('fuzz: no bytes make the readers throw anything but what they promise', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(600), (noise, at) => {
      const bytes = concat(...[pack.subarray(0, at), noise, pack.subarray(at)])
      expect(() => scanPack(bytes, 0)).not.toThrow()
      expect(decodePackIndex(noise)).toBeUndefined()
      expect(readFrame(noise, 0)).toBeUndefined()
      expect(() => decodeErasure(noise, 'erasure')).toThrowError(
        expect.objectContaining({ name: 'AppError' }),
      )
    }),
    { numRuns: 300 },
  )
})

test('an erasure journal reads back', () => {
  const stretches = [
    { file: 'v/packs/00000001.pack', offset: 96, lengths: [1, 2, 3], wholeFile: false },
    { file: 'v/large/aa/bb', offset: 0, lengths: [70_000], wholeFile: true },
  ]
  expect(decodeErasure(encodeErasure(stretches), 'erasure')).toEqual(stretches)
})
