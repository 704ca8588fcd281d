import { AppError, cosign, formatCheckpoint, formatNote } from '@salus/core'
import { testMember } from '@salus/ledger/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { type EngineUnderTest, engineSuite } from './engine.suite.ts'
import {
  bundleOf,
  directTransport,
  followerOn,
  freshBody,
  machine,
  operatorOn,
  testClock,
  until,
} from './network.ts'

describe('embedded engine, operator', () => {
  engineSuite(async (): Promise<EngineUnderTest> => {
    const clock = testClock()
    const engine = await operatorOn(machine('a', clock))
    return {
      engine,
      ledger: engine.ledger,
      now: () => clock.now(),
      goOn: (done, what) => until(done, what, clock),
      hold() {
        engine.pause()
        return () => engine.resume()
      },
      close: () => engine.close(),
    }
  })
})

describe('embedded engine, follower', () => {
  engineSuite(async (): Promise<EngineUnderTest> => {
    const clock = testClock()
    const operator = await operatorOn(machine('a', clock))
    const engine = await followerOn(
      machine('b', clock),
      directTransport(() => operator),
    )
    return {
      engine,
      ledger: engine.ledger,
      now: () => clock.now(),
      goOn: (done, what) => until(done, what, clock),
      hold() {
        operator.pause()
        return () => operator.resume()
      },
      async close() {
        await engine.close()
        await operator.close()
      },
    }
  })
})

describe('operator', () => {
  let operator: Awaited<ReturnType<typeof operatorOn>>
  afterEach(() => operator.close())

  test('makes a heartbeat block every 15 s of clock time, and one, not many, when hours pass at once', async () => {
    const clock = testClock()
    operator = await operatorOn(machine('a', clock))
    clock.advance(14_999)
    await new Promise((resolve) => setImmediate(resolve))
    expect(operator.head().height).toBe(0)
    clock.advance(1)
    await until(() => operator.head().height === 1, 'the first heartbeat')
    await until(() => operator.blockLog.height === 1, 'its leaf')
    clock.advance(5 * 60 * 60 * 1000)
    await until(() => operator.head().height === 2, 'one heartbeat')
    expect(operator.head().timeMs).toBe(clock.now())
    await operator.heartbeat()
    expect(operator.head().height).toBe(3)
    expect(operator.head().timeMs).toBe(clock.now() + 1)
  })

  test('while paused no time passes on the ledger, and asking for a heartbeat is refused', async () => {
    const clock = testClock()
    operator = await operatorOn(machine('a', clock))
    operator.pause()
    clock.advance(60_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(operator.head().height).toBe(0)
    await expect(operator.heartbeat()).rejects.toMatchObject({ code: 'ENGINE_PAUSED' })
    operator.resume()
    await operator.heartbeat()
    expect(operator.head()).toMatchObject({ height: 1, timeMs: clock.now() })
  })

  test('bundles that come within the batch window share a block', async () => {
    const clock = testClock()
    operator = await operatorOn(machine('a', clock), { batchWindowMs: 50 })
    const { chainId } = operator.ledger
    for (let at = 0; at < 4; at++) {
      await operator.submit(bundleOf(chainId, clock.now(), [freshBody(chainId, clock.now())]))
      clock.advance(10)
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(operator.head().height).toBe(0)
    clock.advance(10)
    await until(() => operator.head().height === 1, 'the block')
    expect(operator.blockAt(1)?.outcome.results.length).toBe(4)
  })

  test('sponsors take turns: a big one does not keep a small one waiting', async () => {
    const clock = testClock()
    operator = await operatorOn(machine('a', clock))
    const { chainId } = operator.ledger
    operator.pause()
    const many = (sponsor: string, bundles: number, bodies: number) =>
      Promise.all(
        Array.from({ length: bundles }, () =>
          operator.submit(
            bundleOf(
              chainId,
              clock.now(),
              Array.from({ length: bodies }, () => freshBody(chainId, clock.now())),
              sponsor,
            ),
          ),
        ),
      )
    await many('a', 20, 128)
    await many('b', 1, 3)
    operator.resume()
    await until(() => operator.head().height >= 1, 'the first block', clock)
    const first = operator.blockAt(1)?.outcome
    expect(first?.results.length).toBeGreaterThan(1_800)
    expect(first?.results.length).toBeLessThanOrEqual(2_000)
    // The small one's three bodies came second, not last.
    expect(first?.results.filter(({ bundle }) => bundle === 1).length).toBe(3)
  }, 20_000)

  test('a full disk stops nothing for good: what waited becomes final when there is room again', async () => {
    const clock = testClock()
    const full = machine('a', clock)
    let isFull = false
    const store = {
      ...full.store,
      commit(change: Parameters<typeof full.store.commit>[0]) {
        if (isFull) throw new AppError('DISK_FULL', 'no room')
        full.store.commit(change)
      },
    }
    operator = await operatorOn({ ...full, store })
    const { chainId } = operator.ledger
    isFull = true
    await operator.submit(bundleOf(chainId, clock.now(), [freshBody(chainId, clock.now())]))
    await until(() => operator.health().alarms.length > 0, 'the alarm', clock)
    expect(operator.head().height).toBe(0)
    isFull = false
    await until(() => operator.head().height === 1, 'the block', clock)
    expect(operator.blockAt(1)?.outcome.results.map(({ code }) => code)).toEqual([0])
  })

  test('a bundle that expires while it waits is dropped; its bodies may come in another one', async () => {
    const clock = testClock()
    operator = await operatorOn(machine('a', clock))
    const { chainId } = operator.ledger
    operator.pause()
    const body = freshBody(chainId, clock.now() + 400_000)
    await operator.submit(bundleOf(chainId, clock.now(), [body]))
    clock.advance(61_000)
    operator.resume()
    await operator.heartbeat()
    expect(operator.blockAt(1)?.outcome.bundles).toEqual([])
    expect(operator.health().waitingBundles).toBe(0)
    await operator.submit(bundleOf(chainId, clock.now(), [body]))
    await until(() => operator.head().height === 2, 'block 2', clock)
    expect(operator.blockAt(2)?.outcome.results.map(({ code }) => code)).toEqual([0])
  })

  test('cosignatures by strangers, or of a checkpoint that never was, are refused', async () => {
    const clock = testClock()
    operator = await operatorOn(machine('a', clock))
    await operator.heartbeat()
    const { origin, size, root } = operator.blockLog.tiles
    const noteOf = (name: string, key = testMember(name).log, at = root) => {
      const text = formatCheckpoint({ origin, size, root: at })
      return formatNote({ text, signatures: [cosign(text, { name, key }, 1_800_000_000)] })
    }
    await expect(operator.cosign(noteOf('stranger'))).rejects.toMatchObject({ code: 'NOTE_SIGNATURE' })
    await expect(operator.cosign(noteOf('b', testMember('c').log))).rejects.toMatchObject({
      code: 'NOTE_SIGNATURE',
    })
    await expect(operator.cosign(noteOf('b', testMember('b').log, new Uint8Array(32)))).rejects.toMatchObject(
      {
        code: 'CHECKPOINT_UNKNOWN',
      },
    )
    await operator.cosign(noteOf('b'))
    expect(operator.checkpoint()).toContain('— b ')
  })
})
