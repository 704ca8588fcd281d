import { memorySql } from '@salus/host/system'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenIndex } from './token-index.ts'

const token = fc.integer({ min: 0, max: 6 })
const entries = fc.array(fc.array(token, { maxLength: 4 }), { maxLength: 30 })
const wanted = fc.array(fc.array(token, { maxLength: 3 }), { minLength: 1, maxLength: 4 })

describe('token index', () => {
  it('finds what carries one token of each list, in order', () => {
    fc.assert(
      fc.property(entries, wanted, (all, lists) => {
        const index = new TokenIndex(memorySql())
        index.add(all.map((tokens, at) => ({ seq: at + 1, tokens })))
        const expected = all.flatMap((tokens, at) =>
          lists.every((any) => any.some((one) => tokens.includes(one))) ? [at + 1] : [],
        )
        expect(index.find(lists)).toEqual(expected)
      }),
      { numRuns: 200 },
    )
  })

  it('forgets versions and keeps the others', () => {
    const index = new TokenIndex(memorySql())
    index.add([1, 2, 3].map((seq) => ({ seq, tokens: [7, seq + 10] })))
    index.remove(new Set())
    expect(index.find([[7]])).toEqual([1, 2, 3])
    index.remove(new Set([2]))
    expect(index.find([[7]])).toEqual([1, 3])
    expect(index.find([[12]])).toEqual([])
  })

  it('finds the same where tokens are common', () => {
    const index = new TokenIndex(memorySql())
    // More rows than are counted: everything has 1, every second 2, one has 3.
    index.add(
      Array.from({ length: 3_000 }, (_, at) => ({
        seq: at + 1,
        tokens: [1, ...(at % 2 === 0 ? [2] : []), ...(at === 2_000 ? [3] : [])],
      })),
    )
    expect(index.find([[1], [2]])).toHaveLength(1_500)
    expect(index.find([[1], [2], [3]])).toEqual([2_001])
    expect(index.find([[1], [4]])).toEqual([])
  })
})
