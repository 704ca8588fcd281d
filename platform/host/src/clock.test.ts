import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AdjustableClock, manualClock, shiftedClock } from './clock.ts'
import { systemClock } from './system/index.ts'

const kinds: [name: string, make: () => AdjustableClock][] = [
  ['manual', () => manualClock(1_000)],
  ['shifted manual', () => shiftedClock(manualClock(1_000))],
  ['shifted system', () => shiftedClock(systemClock())],
]

describe.each(kinds)('%s clock', (_, make) => {
  test('property: tasks run in order of their time, then of their scheduling, and only when due', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 12 }), (delays) => {
        const clock = make()
        const ran: number[] = []
        for (const [i, delay] of delays.entries()) clock.schedule(delay * 1_000_000, () => ran.push(i))
        clock.advance(10 * 1_000_000 + 5_000)
        const due = delays
          .map((delay, i) => ({ delay, i }))
          .filter(({ delay }) => delay <= 10)
          .sort((a, b) => a.delay - b.delay || a.i - b.i)
        expect(ran).toEqual(due.map(({ i }) => i))
      }),
    )
  })

  test('a task scheduled by a task runs in the same advance when it falls due', () => {
    const clock = make()
    const ran: string[] = []
    clock.schedule(1_000_000, () => {
      ran.push('first')
      clock.schedule(1_000_000, () => ran.push('second'))
      clock.schedule(9_000_000, () => ran.push('late'))
    })
    clock.advance(3_000_000)
    expect(ran).toEqual(['first', 'second'])
  })

  test('a cancelled task never runs', () => {
    const clock = make()
    const ran: string[] = []
    const timer = clock.schedule(1_000, () => ran.push('cancelled'))
    timer.cancel()
    timer.cancel()
    clock.advance(1_000_000)
    expect(ran).toEqual([])
  })

  test('advance moves now by as much', () => {
    const clock = make()
    const before = clock.now()
    clock.advance(86_400_000)
    expect(clock.now() - before).toBeGreaterThanOrEqual(86_400_000)
    expect(clock.now() - before).toBeLessThan(86_400_000 + 5_000)
  })
})

test('a shifted clock runs on with its base, and what is scheduled falls due by either', () => {
  const base = manualClock(0)
  const clock = shiftedClock(base)
  const ran: string[] = []
  clock.schedule(100, () => ran.push('a'))
  clock.schedule(300, () => ran.push('b'))
  base.advance(150)
  expect(ran).toEqual(['a'])
  clock.advance(100)
  expect(clock.now()).toBe(250)
  base.advance(49)
  expect(ran).toEqual(['a'])
  base.advance(1)
  expect(ran).toEqual(['a', 'b'])
})

test('the system clock runs what falls due and tells the time', async () => {
  const clock = systemClock()
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000)
  clock.schedule(0, () => expect.unreachable('cancelled')).cancel()
  const keepAlive = setInterval(() => undefined, 1_000)
  await new Promise<void>((resolve) => clock.schedule(1, resolve))
  clearInterval(keepAlive)
})
