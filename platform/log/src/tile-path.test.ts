import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatTilePath, parseTilePath } from './tile-path.ts'

test('the spelling of C2SP tlog-tiles', () => {
  expect(formatTilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067')
  expect(formatTilePath({ level: 'entries', index: 0, width: 1 })).toBe('tile/entries/000.p/1')
})

test('property: what is written is read back', () => {
  const level = fc.oneof(fc.constant('entries' as const), fc.nat(63))
  fc.assert(
    fc.property(level, fc.nat(2 ** 40), fc.integer({ min: 1, max: 256 }), (l, index, width) => {
      expect(parseTilePath(formatTilePath({ level: l, index, width }))).toEqual({ level: l, index, width })
    }),
  )
})

test.each([
  'tile/0/1',
  'tile/00/001',
  'tile/64/001',
  'tile/0/x000/001',
  'tile/0/001.p/0',
  'tile/0/001.p/256',
  'tile/0/001.p/01',
  'tile/0/../001',
  'tile/-1/001',
  'tile/0/1000',
  'tile/entries/',
  '',
  `tile/0/${'x999/'.repeat(40)}999`,
])('%s is refused', (path) => {
  expect(() => parseTilePath(path)).toThrow(expect.objectContaining({ code: 'TILE_PATH' }))
})
