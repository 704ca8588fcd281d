import { manualClock } from '@salus/host'
import { expect, test } from 'vitest'
import { onceKnown, WAITS_MS } from './settle.ts'

/** Lets `work` go on at each wait, until it is done. Returns its result and the time that passed. */
async function passing<T>(clock: ReturnType<typeof manualClock>, work: Promise<T>) {
  const startMs = clock.now()
  let result: { readonly value: T } | undefined
  void work.then((value) => {
    result = { value }
  })
  for (let turn = 0; turn < 50 && result === undefined; turn += 1) {
    await Promise.resolve()
    await Promise.resolve()
    if (result === undefined) clock.advance(WAITS_MS[0] as number)
  }
  return { result, tookMs: clock.now() - startMs }
}

test('what is there is found without waiting', async () => {
  const clock = manualClock(0)
  const { result, tookMs } = await passing(
    clock,
    onceKnown(clock, () => 'row'),
  )
  expect([result?.value, tookMs]).toEqual(['row', 0])
})

test('a block that is on its way is waited for', async () => {
  const clock = manualClock(0)
  const { result, tookMs } = await passing(
    clock,
    onceKnown(clock, () => (clock.now() >= 100 ? 'row' : undefined)),
  )
  expect(result?.value).toBe('row')
  expect(tookMs).toBeLessThan(200)
})

test('what never comes is given up after five seconds', async () => {
  const clock = manualClock(0)
  let looks = 0
  const work = onceKnown(clock, () => {
    looks += 1
    return undefined
  })
  for (const waitMs of WAITS_MS) {
    clock.advance(waitMs)
    await Promise.resolve()
    await Promise.resolve()
  }
  expect(await work).toBeUndefined()
  expect([looks, WAITS_MS.reduce((sum, ms) => sum + ms, 0)]).toEqual([WAITS_MS.length + 1, 5_100])
})
