import { AppError, decode, signingKey, toHex, verifyAs } from '@salus/core'
import { CODES, decodeBlock, decodeBundle, signBody } from '@salus/ledger'
import { testMember } from '@salus/ledger/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Engine, SponsorOptions, TxStatus } from '../src/index.ts'
import { openSponsor, type Sponsor, URGENT_CALLS } from '../src/index.ts'
import { freshBody, machine, operatorOn, random, testClock, until } from './network.ts'

let clock: ReturnType<typeof testClock>
let operator: Awaited<ReturnType<typeof operatorOn>>
let sponsor: Sponsor
let given: Uint8Array[]

async function start(
  options: Partial<SponsorOptions> = {},
  engineOf: (engine: Engine) => Engine = (engine) => engine,
) {
  clock = testClock()
  const own = machine('a', clock)
  operator = await operatorOn(own)
  given = []
  const counting: Engine = {
    ...operator,
    submit(wire) {
      given.push(wire)
      return engineOf(operator).submit(wire)
    },
  }
  const { ledger } = operator
  const key = testMember('a').sign
  sponsor = openSponsor({
    org: 'a',
    key,
    ledger,
    engine: counting,
    verifier: own.verifier,
    clock,
    random,
    ...options,
  })
}

afterEach(async () => {
  await sponsor.close()
  await operator.close()
})

const body = (text?: string) => freshBody(operator.ledger.chainId, clock.now(), text)

describe('a sponsor', () => {
  beforeEach(() => start())

  test('answers at once with a signed acceptance that names body, sponsor and until', async () => {
    const one = body()
    const { txId, acceptance, sig } = await sponsor.submit(one)
    expect(txId).toEqual(one.txId)
    expect(decode(acceptance)).toMatchObject({
      kind: 'tx-acceptance',
      sponsor: 'a',
      txId,
      until: clock.now() + 60_000,
    })
    const { chainId } = operator.ledger
    expect(verifyAs(testMember('a').sign.publicKey, 'statement', chainId, acceptance, sig)).toBe(true)
  })

  test('takes the same body again with the same acceptance, and bundles it once', async () => {
    const one = body()
    const [first, second] = await Promise.all([sponsor.submit(one), sponsor.submit(one)])
    expect(second).toEqual(first)
    expect(await sponsor.submit(one)).toEqual(first)
    await until(() => sponsor.status(one.txId).state === 'final', 'final', clock)
    expect(await sponsor.submit(one)).toEqual(first)
    expect(given.length).toBe(1)
  })

  test('a body is followed: queued, bundled, final with height, index, code and result', async () => {
    const one = body()
    await sponsor.submit(one)
    const states: TxStatus[] = []
    const followed = (async () => {
      for await (const status of sponsor.follow(one.txId)) states.push(status)
    })()
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(50)
    await new Promise((resolve) => setImmediate(resolve))
    await until(() => operator.head().height === 1, 'block 1', clock)
    await followed
    expect(states).toEqual([
      { state: 'queued' },
      { state: 'bundled' },
      { state: 'final', height: 1, index: 0, code: CODES.OK, result: null },
    ])
    expect(await sponsor.follow(one.txId).wait()).toEqual(states[2])
  })

  test('bundles after 64 bodies or 50 ms', async () => {
    await Promise.all(Array.from({ length: 70 }, () => sponsor.submit(body())))
    expect(sponsor.waiting).toBe(6)
    clock.advance(49)
    expect(sponsor.waiting).toBe(6)
    clock.advance(1)
    expect(sponsor.waiting).toBe(0)
    expect(given.map((wire) => decodeBundle(wire).items.length)).toEqual([64, 6])
  })

  test('what the ledger would refuse is refused here, by name, and costs no quota', async () => {
    const { chainId } = operator.ledger
    const signed = (more: object) =>
      signBody({
        chainId,
        call: 'notes/write',
        args: { text: 'x' },
        untilMs: clock.now() + 1_000,
        keys: [signingKey(random(32))],
        random,
        ...more,
      })
    const refusals: [{ body: Uint8Array; auth: readonly Uint8Array[] }, string][] = [
      [{ body: random(50), auth: [] }, 'MALFORMED'],
      [signed({ chainId: random(32) }) as never, 'WRONG_CHAIN'],
      [signed({ untilMs: clock.now() - 1 }) as never, 'EXPIRED'],
      [signed({ untilMs: clock.now() + 700_000 }) as never, 'UNTIL_TOO_FAR'],
      [signed({ call: 'notes/burn' }) as never, 'UNKNOWN_CALL'],
      [signed({ args: { text: 7 } }) as never, 'BAD_ARGS'],
      [{ ...body(), auth: [new Uint8Array(64)] }, 'BAD_SIGNATURE'],
      [{ ...body(), auth: [] }, 'BAD_SIGNATURE'],
    ]
    for (const [item, name] of refusals)
      await expect(sponsor.submit(item), name).rejects.toMatchObject({ code: 'TX_REFUSED', data: { name } })
    clock.advance(1_000)
    expect(given).toEqual([])
  })

  test('a body that has already run is refused as such, though another sponsor carried it', async () => {
    const one = body()
    await sponsor.submit(one)
    await until(() => sponsor.status(one.txId).state === 'final', 'final', clock)
    const { ledger } = operator
    const other = openSponsor({
      org: 'b',
      key: testMember('b').sign,
      ledger,
      engine: operator,
      verifier: machine('b', clock).verifier,
      clock,
      random,
    })
    expect(other.status(one.txId)).toMatchObject({ state: 'final', height: 1 })
    await expect(other.submit(one)).rejects.toMatchObject({ data: { name: 'REPLAYED' } })
    await other.close()
  })

  test('a body that no block takes lapses at its until, and waiting for it says so', async () => {
    operator.pause()
    const one = body()
    await sponsor.submit(one)
    const waited = expect(sponsor.follow(one.txId).wait()).rejects.toMatchObject({ code: 'TX_LAPSED' })
    clock.advance(61_000)
    operator.resume()
    await operator.heartbeat()
    await waited
  })
})

test('privacy-sensitive calls wait for the tick and come shuffled; urgent ones go at once', async () => {
  await start({
    tickMs: 2_000,
    privateCalls: new Set(['notes/write']),
    urgentCalls: new Set([...URGENT_CALLS, 'governance/leave']),
  })
  const quiet = Array.from({ length: 20 }, (_, at) => body(`quiet ${at}`))
  for (const one of quiet) await sponsor.submit(one)
  clock.advance(1_999)
  expect(given).toEqual([])
  clock.advance(1)
  const order = given.flatMap((wire) => decodeBundle(wire).items.map((item) => toHex(item.body)))
  const asked = quiet.map((one) => toHex(one.body))
  expect(order).not.toEqual(asked)
  expect([...order].sort()).toEqual([...asked].sort())
  const { chainId } = operator.ledger
  const urgent = signBody({
    chainId,
    call: 'governance/leave',
    args: { org: 'x' },
    untilMs: clock.now() + 60_000,
    keys: [signingKey(random(32))],
    random,
  })
  await sponsor.submit(urgent)
  expect(given.length).toBe(2)
})

test('an operator that does not answer is asked again until the bundle expires', async () => {
  let away = true
  await start({}, (engine) => ({
    ...engine,
    async submit(wire) {
      if (away) throw new AppError('UNREACHABLE', 'no answer')
      return engine.submit(wire)
    },
  }))
  const one = body()
  await sponsor.submit(one)
  for (let round = 0; round < 5; round++) {
    clock.advance(500)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(given.length).toBeGreaterThan(2)
  away = false
  await until(() => sponsor.status(one.txId).state === 'final', 'final', clock)
})

test('a full sponsor says so and when to come again', async () => {
  await start({ waitingMax: 10, flushBodies: 100 })
  for (let at = 0; at < 10; at++) await sponsor.submit(body())
  await expect(sponsor.submit(body())).rejects.toMatchObject({
    code: 'SPONSOR_FULL',
    data: { retryAfterMs: 1_000 },
  })
  clock.advance(50)
  await sponsor.submit(body())
})

test('a new sponsor on an old ledger knows what became of recent bodies', async () => {
  await start()
  const one = body()
  await sponsor.submit(one)
  await until(() => sponsor.status(one.txId).state === 'final', 'final', clock)
  await sponsor.close()
  const { ledger } = operator
  sponsor = openSponsor({
    org: 'a',
    key: testMember('a').sign,
    ledger,
    engine: operator,
    verifier: machine('a', clock).verifier,
    clock,
    random,
  })
  expect(sponsor.status(one.txId)).toMatchObject({ state: 'final', height: 1 })
  expect(decodeBlock(operator.blockAt(1)?.bytes ?? new Uint8Array()).bundles.length).toBe(1)
})
