import { describe, expect, test } from 'vitest'
import { atLeast, atMost, inTurns, measurement, median } from './harness.ts'
import { figureLines, misses } from './table.ts'

describe('harness', () => {
  test('runs subjects in turns, throws the warm-up away, gives medians', async () => {
    const order: string[] = []
    const values: Record<string, number[]> = { a: [100, 3, 1, 2], b: [100, 10, 30, 20] }
    const subject = (name: string) => async () => {
      order.push(name)
      return values[name]?.shift() ?? Number.NaN
    }
    const result = await inTurns({ a: subject('a'), b: subject('b') }, { rounds: 3, warmUp: 1 })
    expect(result).toEqual({ a: 2, b: 20 })
    expect(order.join('')).toBe('abababab')
  })

  test('the median of an even number is between the middle two', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([])).toBeNaN()
  })

  test('a ratio is taken only between quantities of one unit', () => {
    const reference = { name: 'raw', value: 4, unit: 'ms' } as const
    expect(measurement('x', 2, 'ms', { reference }).ratio).toBe(0.5)
    expect(measurement('x', 2, '/s', { reference }).ratio).toBeUndefined()
  })

  test.each([
    [2, atLeast(2), true],
    [1.9, atLeast(2), false],
    [2, atMost(2), true],
    [2.1, atMost(2), false],
  ])('%d against %o', (value, target, met) => {
    expect(measurement('x', value, 'ms', { target }).target?.met).toBe(met)
  })

  test('a target of the ratio judges the ratio', () => {
    const reference = { name: 'raw', value: 10, unit: '/s' } as const
    const target = atLeast(0.35, 'ratio')
    expect(measurement('x', 4, '/s', { reference, target }).target?.met).toBe(true)
    expect(measurement('x', 3, '/s', { reference, target }).target?.met).toBe(false)
  })
})

describe('table', () => {
  const figure = { name: 'f', title: 'A figure' }

  test('names what was missed and what did not run', () => {
    const slow = measurement('slow', 12, 'ms', { target: atMost(10) })
    const fine = measurement('fine', 8, 'ms', { target: atMost(10) })
    expect(misses([{ figure, result: { measurements: [slow, fine], notes: [] } }])).toEqual([
      'f: slow 12 ms, must be ≤ 10 ms',
    ])
    expect(misses([{ figure, error: 'no disk' }])).toEqual(['f: no disk'])
  })

  test('shows value, reference, ratio, bound and verdict in one line', () => {
    const reference = { name: 'raw', value: 30_000, unit: '/s' } as const
    const one = measurement('bodies', 12_345.6, '/s', { reference, target: atLeast(0.35, 'ratio') })
    expect(figureLines({ figure, result: { measurements: [one], notes: ['a note'] } })).toEqual([
      'A figure  [f]',
      '  bodies  12,346/s  raw 30,000/s  0.412×  ≥ 0.35×  met',
      '  · a note',
    ])
  })
})
