import { AppError } from '@salus/core'

/** The task both pools run in their suite. */
export type SampleInput =
  | { readonly add: readonly number[] }
  | { readonly fail: 'app' | 'bug' }
  | { readonly buffer: ArrayBuffer }

export function sampleTask(input: SampleInput): number {
  if ('add' in input) return input.add.reduce((sum, one) => sum + one, 0)
  if ('buffer' in input) return input.buffer.byteLength
  if (input.fail === 'app') throw new AppError('SAMPLE', 'refused on purpose', { why: 'test' })
  throw new Error('broken on purpose')
}
