import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import vectors from '../../../../vectors/clinical-dates.json' with { type: 'json' }
import { clinicalDates, dateRange } from './dates.ts'
import type { LooseResource } from './types.ts'

const OPEN = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY } as const

describe('ranges', () => {
  test.each(vectors.ranges)('$text', ({ text, startMs, endMs }) => {
    expect(dateRange(text)).toEqual(startMs === null ? undefined : { startMs, endMs })
  })
})

describe('clinical dates', () => {
  test.each(vectors.clinical)('$name', ({ resource, startMs, endMs }) => {
    const expected =
      startMs === undefined ? undefined : { startMs: startMs ?? OPEN.from, endMs: endMs ?? OPEN.to }
    expect(clinicalDates(resource as unknown as LooseResource)).toEqual(expected)
  })
})

test('property: an instant covers the millisecond that Date gives it', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date('1583-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
      (date) => {
        expect(dateRange(date.toISOString())).toEqual({ startMs: date.getTime(), endMs: date.getTime() })
      },
    ),
  )
})
