import { type SigningKey, toHex } from '@salus/core'
import { CODES, encodeBundle, type Ledger } from '@salus/ledger'
import { testMember } from '@salus/ledger/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CommittedBlock, Engine } from '../src/index.ts'
import { bundleOf, freshBody, random } from './network.ts'

export interface EngineUnderTest {
  readonly engine: Engine
  readonly ledger: Ledger
  now(): number
  /** Lets time and everything else go on until `done`. */
  goOn(done: () => boolean, what: string): Promise<void>
  /** Ordering stands still until the returned function is called. */
  hold(): () => void
  close(): Promise<void>
}

/** What every engine must do, seen from one node. */
export function engineSuite(make: () => Promise<EngineUnderTest>): void {
  let at: EngineUnderTest
  let heard: CommittedBlock[]
  beforeEach(async () => {
    at = await make()
    heard = []
    at.engine.subscribe((block) => heard.push(block))
  })
  afterEach(() => at.close())

  const body = (text?: string) => freshBody(at.ledger.chainId, at.now(), text)
  const bundle = (...bodies: ReturnType<typeof body>[]) => bundleOf(at.ledger.chainId, at.now(), bodies)
  const codes = () => heard.flatMap(({ outcome }) => outcome.results.map(({ code }) => code))
  const withBodies = (count: number) => at.goOn(() => codes().length >= count, `${count} results`)

  test('a bundle becomes final: executed, durable, heard of, found again by height', async () => {
    const [one, two] = [body('one'), body('two')]
    await at.engine.submit(bundle(one, two))
    await withBodies(2)
    const block = heard.find(({ outcome }) => outcome.results.length > 0) as CommittedBlock
    expect(block.outcome.results.map(({ txId }) => toHex(txId))).toEqual([toHex(one.txId), toHex(two.txId)])
    expect(at.engine.blockAt(block.height)).toEqual(block)
    expect(at.engine.head().height).toBeGreaterThanOrEqual(block.height)
    expect(at.engine.blockAt(at.engine.head().height + 1)).toBeUndefined()
    expect(at.engine.blockAt(0)).toBeUndefined()
  })

  test('blocks are heard of in order, each once, with rising times', async () => {
    for (let round = 0; round < 5; round++) {
      await at.engine.submit(bundle(body()))
      await withBodies(round + 1)
    }
    const heights = heard.map(({ height }) => height)
    expect(heights).toEqual(Array.from({ length: heights.length }, (_, index) => index + 1))
    const times = heard.map(({ timeMs }) => timeMs)
    expect([...times].sort((a, b) => a - b)).toEqual(times)
    expect(new Set(times).size).toBe(times.length)
  })

  test('the same bundle again, waiting or final, is no error and runs once', async () => {
    const wire = bundle(body())
    await Promise.all([at.engine.submit(wire), at.engine.submit(wire.slice())])
    await at.engine.submit(wire)
    await withBodies(1)
    await at.engine.submit(wire)
    await at.engine.submit(bundle(body('later')))
    await withBodies(2)
    expect(codes()).toEqual([CODES.OK, CODES.OK])
  })

  test('a body that comes in two bundles runs once', async () => {
    const twice = body()
    await at.engine.submit(bundle(twice, body('with another')))
    await at.engine.submit(bundle(twice))
    await withBodies(3)
    expect([...codes()].sort((a, b) => a - b)).toEqual([CODES.OK, CODES.OK, CODES.REPLAYED])
  })

  test('one bad body in a bundle does not hurt the others', async () => {
    const forged = { ...body('forged'), auth: [new Uint8Array(64).fill(1)] }
    const good = body('good')
    await at.engine.submit(bundle(forged, good))
    await withBodies(2)
    expect(codes()).toEqual([CODES.BAD_SIGNATURE, CODES.OK])
    const [bad] = heard.flatMap(({ outcome }) => outcome.results)
    expect(toHex(bad?.txId ?? new Uint8Array())).not.toBe(toHex(forged.txId))
  })

  test('what cannot be a block is refused by name, and changes nothing', async () => {
    const { chainId } = at.ledger
    const plain = (items: ReturnType<typeof body>[]) => items.map(({ body, auth }) => ({ body, auth }))
    const sealed = (
      more: Partial<Parameters<typeof encodeBundle>[0]>,
      key: SigningKey = testMember('a').sign,
    ) =>
      encodeBundle(
        { chain: chainId, sponsor: 'a', until: at.now() + 60_000, items: plain([body()]), ...more },
        key,
      )
    const refusals: [Uint8Array, string][] = [
      [random(100), 'MALFORMED'],
      [new Uint8Array(300_000), 'MALFORMED'],
      [sealed({ chain: random(32) }), 'WRONG_CHAIN'],
      [sealed({ sponsor: 'stranger' }), 'UNKNOWN_SPONSOR'],
      [sealed({ until: at.now() - 1_000 }), 'EXPIRED'],
      [sealed({ until: at.now() + 700_000 }), 'UNTIL_TOO_FAR'],
    ]
    for (const [wire, name] of refusals)
      await expect(at.engine.submit(wire), name).rejects.toMatchObject({
        code: 'BUNDLE_REFUSED',
        message: expect.stringMatching(/^bundle: .{20}/),
        data: { name },
      })
    await expect(at.engine.submit(sealed({}, testMember('b').sign))).rejects.toMatchObject({
      code: 'BAD_SIGNATURE',
    })
    await at.engine.submit(bundle(body()))
    await withBodies(1)
    expect(codes()).toEqual([CODES.OK])
  })

  test('a full queue says so and when to come again; what waits becomes final later', async () => {
    const release = at.hold()
    let refused: unknown
    let given = 0
    for (let count = 0; count < 600 && !refused; count++) {
      try {
        await at.engine.submit(bundle(body()))
        given++
      } catch (error) {
        refused = error
      }
    }
    expect(refused).toMatchObject({ code: 'ENGINE_FULL', data: { retryAfterMs: expect.any(Number) } })
    expect(given).toBe(512)
    release()
    await withBodies(512)
    expect(new Set(codes())).toEqual(new Set([CODES.OK]))
  })

  test('while ordering stands still nothing becomes final; then everything does', async () => {
    const release = at.hold()
    const before = at.engine.head().height
    await at.engine.submit(bundle(body()))
    await new Promise((resolve) => setImmediate(resolve))
    expect(at.engine.head().height).toBe(before)
    release()
    await withBodies(1)
  })

  test('after closing it takes nothing more', async () => {
    await at.engine.close()
    await expect(at.engine.submit(bundle(body()))).rejects.toMatchObject({ code: 'ENGINE_STOPPED' })
  })
}
