import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addYears, dayOf, dayStartMs, instantMs, instantOf } from './time.ts'

const anyMs = fc.integer({ min: dayStartMs('0000-01-01'), max: dayStartMs('9999-12-31') })

test('property: days and instants agree with the platform’s own calendar', () => {
  fc.assert(
    fc.property(anyMs, (timeMs) => {
      const instant = new Date(timeMs).toISOString()
      expect(instantOf(timeMs)).toBe(instant)
      expect(instantMs(instant)).toBe(timeMs)
      expect(dayOf(timeMs)).toBe(instant.slice(0, 10))
    }),
    { numRuns: 1_000 },
  )
})

test('days that no calendar has are refused', () => {
  for (const day of ['2026-02-29', '2026-13-01', '2026-00-10', '2026-04-31', '26-01-01', '2026-1-1', ''])
    expect(() => dayStartMs(day)).toThrow(/day:/)
  expect(() => instantMs('2026-01-01T24:00:00.000Z')).toThrow(/instant:/)
})

test('a period of years is never cut short by a leap day', () => {
  expect(addYears('2024-02-29', 1)).toBe('2025-03-01')
  expect(addYears('2024-02-29', 4)).toBe('2028-02-29')
  expect(addYears('2020-06-30', 6)).toBe('2026-06-30')
})
